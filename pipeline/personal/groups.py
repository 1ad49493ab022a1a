"""Schools, and organisations that somebody belongs to.

A firm or a club is masked where the post says that a person works, studies or belongs there, not
where it is a brand that somebody buys.
"""

from __future__ import annotations

import re

from pipeline.personal.lists import BRANDS, KIN, MONTHS, PHRASES, TITLES, cities, kept
from pipeline.personal.view import CAP, SEQ, Found, View, is_listed
from pipeline.personal.words import word_set

_NAMED = rf"(?!The |My |Our |At |In |I ){CAP}"
_KIND = (
    r"University|College|Academy|Polytechnic|Institute(?: of Technology)?|High(?: School)?"
    r"|Elementary(?: School)?|(?:Middle|Primary|Secondary|Grammar|Law) School|School(?: of \w+)?"
    r"|Montessori|Prep|Seminary|Community College"
)
_STUDY = (
    r"(?:(?:got|gets?|getting) in(?:to| to)|accepted (?:(?:in)?to|at)|admitted to"
    r"|admission (?:at|to)|enrolled (?:at|in)|graduat(?:ed?|ing|ion) from"
    r"|stud(?:y|ies|ied|ying)(?: \w+){0,2} at|student at|degree from|attend(?:s|ed|ing)?"
    r"|undergrad(?:uate)? at|scholarship (?:to|at|from)|PhD at|masters? at|transfer(?:red)? to"
    r"|teach(?:es|ing)? at|taught at|loans? from|roommates? at|went to|friends? since|daughter at"
    r"|son at|alum(?:ni|nus|na)? of|rejected (?:by|from)|thesis at|TA at|in college at"
    r"|dropped out of)"
)
_SCHOOLS = (
    re.compile(
        r"\b(?!(?:A|Private|Public|Old|New|Hebrew|Sunday|Grad|Med|Law|Is|Junior|Senior) "
        rf"(?:{_KIND}))(?:{_NAMED} ){{1,3}}(?:{_KIND})\b(?: {CAP})?"
    ),
    re.compile(
        r"\b(?i:university|college|univ\.?|institute) of (?:the )?"
        rf"{CAP}(?:(?: at|,)? {CAP})?(?: {CAP})?"
    ),
    re.compile(
        r"\b(?:UC|CSU|Cal State|Cal Poly|SUNY|CUNY|IIT|IIM|NIT|UT|UNC|UMass|UW|Texas A&M|ETH) "
        rf"{CAP}(?: (?:Cruz|Diego|Barbara|Beach|Hill|Obispo))?"
    ),
    re.compile(
        r"\b(?:MIT|UCLA|USC|NYU|LSE|UCL|KCL|TCU|BYU|LSU|SMU|UPenn|UVA|UNSW|ANU|NUS|EPFL|VCU|FSU|UCF"
        r"|UCSD|UCSB|UCSC|UCSF|UCI|UCR|ASU|OSU|PSU|MSU|FIU|GMU|RIT|RPI|WPI|CMU|JHU|IIT|SNU|KAIST"
        r"|UBC|McGill|Harvard|Stanford|Yale|Princeton|Caltech|Dartmouth|Cornell|Vassar|Vanderbilt"
        r"|Rutgers|Purdue|Tulane|Baylor|Tufts|Emory|Oberlin|Kenyon|Spelman|Morehouse"
        r"|Carnegie Mellon|Johns Hopkins|Notre Dame|Wellesley|Swarthmore|Bowdoin|Middlebury"
        r"|Villanova|Gonzaga|Creighton|Penn|(?:Georgia|Virginia|Texas|ITT|Louisiana) Tech)\b"
        r"(?! (?:accent|style))"
    ),
    re.compile(rf"\b(?:{CAP} ){{1,2}}State(?: University)?\b(?!')"),
)
_STUDIES_AT = re.compile(rf"\b{_STUDY} (?:the )?(?P<it>{SEQ})")
_JOB = (
    r"position|role|career|shift|nurse|teller|pastor|manager|analyst|engineer|guard|cook|driver"
    r"|aide|boss|recruiter|interview|contract|residency|match|chef|barista|cashier|assistant|years"
    r"|months|weeks|team of \w+"
)
_BUSINESS = r"truck|shop|store|bakery|band|studio|salon|caf[eé]|restaurant|business|place|club"
_WORKS = (
    r"(?:work(?:s|ed|ing)? (?:at|for)|jobs? (?:at|with)|offers? (?:from|at|by)|employed (?:at|by)"
    r"|(?:hired|fired|let go|laid off|poached|sponsored) (?:from|by|at)"
    rf"|intern(?:ed|ing|ship)? (?:at|with)|(?:{_JOB}) (?:at|with|from|in)|application for|leaving"
    r"|quit(?:ting)?|(?:runs?|owns?|founded|startup|firm|company|agency|employer|practice)"
    rf"(?:,| called| named)?|(?:{_BUSINESS}),? (?:called|named)|joined|severance from"
    r"|volunteer(?:s|ed)? (?:at|with|for))"
)
_FIRM = (
    r"Inc\.?|LLC|Ltd\.?|Corp\.?|GmbH|Group|Systems|Logistics|Hospital|Clinic|Hardware|Diner|Church"
    r"|[Pp]arish|Fellowship|Credit Union|Bank|Foundation|Museum|Symphony|Consulting|Data|Creative"
    r"|Care Center|Center|Centre|Airborne|[Ll]odge|Restaurant|Bakery|Salon|Solutions|Technologies"
    r"|Partners|Associates|Industries|Services|Ministries|Temple|Mosque|Synagogue|Chapel|Cathedral"
    r"|Brewery|Motors|Pharma|Labs|Studios|Realty|Insurance|Financial|Holdings|Enterprises|Medical"
    r"|Health|Orchestra|Choir"
)
# With ordinary words before it, this is no name: "Car Insurance".
_COMMON = word_set(
    "insurance center centre services data group systems health medical financial bank labs"
)
_ORGS = (
    re.compile(
        rf"\b(?!(?:A|All|Human|Mental|Public|National|Big|Urgent|Day) (?:{_FIRM}))"
        rf"(?:{_NAMED} (?:& )?){{1,4}}(?:{_FIRM})(?!\w)"
    ),
    re.compile(r"\b\d{1,3}(?:st|nd|rd|th) [A-Z][a-z]+(?: (?:Division|Regiment|Battalion))?"),
    re.compile(rf"\b(?:Museum|Bank|Church|Ministry|Order|Friends) of (?:the )?{SEQ}"),
)
_WORKS_AT = re.compile(rf"\b{_WORKS} (?:the |a |an )?(?:[a-z]+ (?:called|named) )?(?P<it>{SEQ})")
_AT = re.compile(rf"\bat (?:the )?(?P<it>{SEQ})")


def schools(view: View) -> list[Found]:
    """Return (start, end, "school") of schools, colleges and universities."""
    found: list[Found] = [
        (*match.span(), "school")
        for pattern in _SCHOOLS
        for match in pattern.finditer(view.text)
        if _fits(view, *match.span()) and not _is_heading(view, *match.span())
    ]
    for match in _STUDIES_AT.finditer(view.text):
        start, end = match.span("it")
        labels = _labels(view, start, end)
        to_place = labels == {"GPE"} and " at " in f" {match[0]} "
        if match[0].startswith("went to"):
            to_place = labels <= {"GPE", "LOC", "FAC", "PERSON", ""}
        if _fits(view, start, end) and not to_place and not _persons(view, start, end):
            found.append((start, end, "school"))
    return found


def organisations(view: View) -> list[Found]:
    """Return (start, end, "org") of employers, churches, clubs: where people belong."""
    found: list[Found] = [
        (*match.span(), "org")
        for pattern in _ORGS
        for match in pattern.finditer(view.text)
        if _fits(view, *match.span())
        and not PHRASES.match(match[0])
        and not _is_common(view, match[0])
    ]
    for match in _WORKS_AT.finditer(view.text):
        start, end = match.span("it")
        other = _labels(view, start, end) & {"DATE", "NORP"} or match["it"].lower() in cities()
        if _fits(view, start, end, brands=True) and not other and not _persons(view, start, end):
            found.append((start, end, "org"))
    for match in _AT.finditer(view.text):
        start, end = match.span("it")
        labelled = _labels(view, start, end) == {"ORG"}
        if labelled and _fits(view, start, end) and not PHRASES.match(match["it"]):
            found.append((start, end, "org"))
    return found


def _fits(view: View, start: int, end: int, *, brands: bool = False) -> bool:
    """Whether a run of capitals can be an organisation: not all of it jargon, kin or feasts."""
    words = [word for word in view.words if start <= word.start < end]
    lows = [word.lower for word in words if word.text[0].isupper()]
    if not lows or all(low in MONTHS for low in lows):
        return False
    if brands and any(low in BRANDS for low in lows):
        return True
    return lows[0] not in KIN | TITLES and not all(low in kept() for low in lows)


def _is_heading(view: View, start: int, end: int) -> bool:
    """Whether it is ordinary words with the capitals of a heading: "Balancing School"."""
    words = [word for word in view.words if start <= word.start < end]
    return all(word.titled and view.lexicon.is_ordinary(word.lower) for word in words)


def _is_common(view: View, name: str) -> bool:
    """Whether it is a thing of everyday life: "Car Insurance", "Call Center"."""
    *words, last = name.lower().split()
    return last in _COMMON and all(
        view.lexicon.is_ordinary(word) or word in kept() or word == "&" for word in words
    )


def _labels(view: View, start: int, end: int) -> set[str]:
    return {w.label for w in view.words if start <= w.start < end and w.text[0].isupper()}


def _persons(view: View, start: int, end: int) -> bool:
    """Whether a run of capitals is a person: "I work for Sarah"."""
    words = [word for word in view.words if start <= word.start < end]
    return all(word.label == "PERSON" or is_listed(word) for word in words) and any(
        is_listed(word) for word in words
    )
