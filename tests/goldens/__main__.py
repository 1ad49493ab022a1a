"""`python -m tests.goldens`: write every golden anew and say which have changed."""

from tests.goldens import FOLDER, golden, names, rendered

before = {path: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.txt"))}
after = {golden(name): rendered(name) for name in names()}
for path in before.keys() - after.keys():
    path.unlink()
for path, text in after.items():
    path.write_text(text, encoding="utf-8", newline="\n")
changed = [path.name for path in sorted(before | after) if before.get(path) != after.get(path)]
print("\n".join(changed) if changed else "no golden has changed")
