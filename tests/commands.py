"""Which test runs each command of the documents; tests/test_docs.py holds it against them."""

# ruff: noqa: E501 - tests have long names

from __future__ import annotations

RUN_BY = {
    "pipeline adjudicate": "test_cli_reviews.py::test_from_the_plan_to_the_report_by_csv_alone",
    "pipeline annotation-plan": "test_cli_reviews.py::test_from_the_plan_to_the_report_by_csv_alone",
    "pipeline annotate": "test_studio_route.py::test_commands_with_a_server_of_ones_own",
    "pipeline batches": "test_batch.py::test_a_batch_of_another_account_is_named_and_can_be_given_up",
    "pipeline budget": "test_cli.py::test_budget_tells_what_is_open_and_what_the_cap_leaves",
    "pipeline build": "test_cli.py::test_build_look_verify_trace_and_funnel",
    "pipeline check-actions": "test_cli_actions.py::test_json_holds_the_counts_and_the_csv_each_violation",
    "pipeline check-publish": "test_recheck.py::test_a_demonstration_and_verbatim_posts_are_not_published",
    "pipeline collect": "test_studio_route.py::test_commands_with_a_server_of_ones_own",
    "pipeline dedup": "test_cli_dedup.py::test_posts_in_any_form_give_the_same_pairs",
    "pipeline dedup-review": "test_cli_dedup.py::test_a_build_is_reviewed",
    "pipeline explain": "test_cli.py::test_explain_names_the_threshold",
    "pipeline funnel": "test_cli.py::test_build_look_verify_trace_and_funnel",
    "pipeline hydrate": "test_recheck.py::test_hydrate_fills_in_what_is_the_same_and_nothing_else",
    "pipeline ingest": "test_ingest.py::test_ingest_prints_a_table_and_repeats_itself_to_the_byte",
    "pipeline label-config": "test_studio.py::test_label_config_is_printed",
    "pipeline ledger merge": "test_ledger_merge.py::test_the_command_says_what_came_of_it",
    "pipeline ledger verify": "test_ledger.py::test_a_sound_ledger_verifies_and_a_tampered_one_does_not",
    "pipeline plan": "test_cli.py::test_plan_prices_the_scenarios_that_are_drawn_and_says_when_it_assumes",
    "pipeline preview": "test_preview.py::test_the_command_prints_or_writes_a_page",
    "pipeline publish": "test_publish.py::test_what_may_not_be_published_is_refused_in_one_line",
    "pipeline reviews-form": "test_cli_reviews.py::test_errors_are_one_line",
    "pipeline reviews-import": "test_cli_reviews.py::test_from_the_plan_to_the_report_by_csv_alone",
    "pipeline screen": "test_report.py::test_rules_run_alone_over_ingested_posts",
    "pipeline serve": "test_evaluation.py::valact_eval",
    "pipeline sweep": "test_reddit_secrets.py::test_secrets_and_names_are_nowhere",
    "pipeline sync": "test_recheck.py::test_sync_notes_what_is_gone_and_a_tombstoned_post_never_comes_back",
    "pipeline take-back": "test_take_back.py::test_a_post_is_taken_back_from_everything_and_the_search_proves_it",
    "pipeline trace": "test_trace_shown.py::test_the_command_shows_cuts_gives_data_and_fails_in_one_line",
    "pipeline verify": "test_cli.py::test_build_look_verify_trace_and_funnel",
    "valact-eval by-domain": "test_eval_report.py::test_score_gives_json_and_csv",
    "valact-eval compare": "test_eval_compare.py::test_respondents_are_paired_by_name",
    "valact-eval identical-people": "test_eval_same_length.py::test_identical_people_command",
    "valact-eval import": "test_eval_import.py::test_logs_of_our_own_tasks",
    "valact-eval power": "test_eval_groups.py::test_power_command",
    "valact-eval probe-canary": "test_eval_canary.py::test_who_continues_the_canary_has_read_it",
    "valact-eval probe-roleplay": "test_eval_first.py::test_an_estimate_asks_nothing",
    "valact-eval quick": "test_eval_first.py::test_an_estimate_asks_nothing",
    "valact-eval reference": "test_eval_reference.py::test_reference_command",
    "valact-eval report": "test_eval_report.py::test_people_stand_beside_models_only_at_one_length",
    "valact-eval run": "test_eval_run.py::test_run_then_score",
    "valact-eval score": "test_eval_run.py::test_run_then_score",
    "pipeline.designs.deal_one": "test_designs.py::test_one60_is_what_its_script_makes",
    "pipeline.designs.find_cycle": "test_designs.py::test_the_same_seed_finds_the_same_cycle_and_another_seed_another_one",
    "pipeline.designs.measure": "test_designs.py::test_the_documents_print_what_measure_prints",
    "tests.fuzz": "test_fuzz.py::test_a_reader_that_falls_over_is_found",
    "tests.goldens": "test_prompts.py::test_goldens_are_written_and_the_changed_ones_are_named",
    "tests.pictures": "test_docs.py::test_the_pictures_are_drawn",
    "benchmarks.evaluator": "test_evaluator_benchmark.py::test_ten_thousand_answers_arrive_and_are_right",
}
"""The word after the program, and a test (or what tests call) that runs it."""

BY_HAND = {
    "benchmarks": "measures this machine; its figures stand beside it with their day",
    "pytest": "runs tests",
}
"""What no test runs, and why; `benchmarks` stands for its modules."""

MAKE_BY_HAND = (
    "install",
    "labelstudio",
    "ray",
    "test",
    "test-fast",
    "lint",
    "clean",
    "bench",
    "help",
)
"""Targets that are no command of the pipeline: `make test` itself needs most of them."""
