"""The validator of what an action must leave out: reasons, aims, benefits, praise."""

from __future__ import annotations

import re

from pipeline.config_actions import ValidateConfig
from pipeline.validators.rows import ActionRow, Violation, plain

_WHO = (
    r"(?:I|we|he|she|they|it|you|people|others|both|neither|"
    r"(?:the|my|our|his|her|their) [\w'-]+(?: [\w'-]+)?)"
)
_ALL = r"(?:everyone|everybody|nobody|no one)"
_CAN = (
    r"(?:'ll|'d|'re| (?:can|could|will|won't|would|may|might|don't|do not|doesn't|does not|have|"
    r"has|gets?|am|are|is|feels?|knows?|never|always|stays?|keeps?)\b)"
)
_MAY = r"(?:(?:also|then|will|would|can|could|may|might|should) )*"
_HELPS = (
    r"(?:help|let|allow|give|make|show|mean|keep|ensure|enable|strengthen|benefit|improve|protect|"
    r"demonstrate|prove|reflect|honou?r|create|provide|bring|build|foster|support|preserve|align|"
    r"matter|guarantee|express|teach|serve)(?:s|es)?\b"
)
_GOODS = (
    r"(?:harmony|peace|balance|stability|trust|dignity|integrity|reputations?|relationships?|unity|"
    r"goodwill|independence|autonomy|freedom|respect|fairness|justice|equality|well-?being|image|"
    r"heritage|values|customs|legacy|bonds?|status|authority|safety|continuity|principles)\b"
)
_GAINS = (
    r"(?:skills|career|recognition|respect|standing|influence|confidence|reputation|visibility|"
    r"credibility|prestige|chances|experience)\b"
)
_ILLS = (
    r"(?:conflicts?|tensions?|upsetting|offending|hurting|friction|confrontations?|"
    r"misunderstandings?|drama|resentment|disappointing|risks?)\b"
)
_MOTIVES = (
    r"(?:respect|loyalty|love|duty|concern|compassion|kindness|gratitude|fairness|solidarity|"
    r"principle|curiosity|consideration|care for)\b"
)
_THEM = r"(?:him|her|them|everyone|everybody|people|others|my \w+|the \w+)"

_REASONS = (
    r"\b(?:because|'cause)\b",
    # "since he was ill" tells when; "since it is fair" tells why.
    r"\bsince (?:it|this|that|doing so)(?:'s| (?!was\b|Christmas\b)"
    r"(?:\w+s|will|would|can|could|may|might|doesn't)\b)",
    r", since (?!then\b|when\b|\d|the (?:first|start|beginning|day)\b|last\b|childhood\b"
    r"|(?:jan|febr)uary|march|april|may|june|july|august|(?:sept|nov|dec)ember|october)",
    # "as it stands", "as it has always been" and "as is usual" tell how.
    r", as (?:it|this|that|doing so)(?:'s|(?: (?:is|will|would|can|could|helps?|shows?|feels?"
    r"|makes?|gives?|lets?|allows?|ensures?)\b))(?! (?:always )?been\b)",
    r", as (?:[\w'-]+ ){1,3}(?:is|are|matters?|comes? first)\b"
    r"(?! (?:expected|supposed|done|customary|usual|proper|required|called|asked|told))",
    r"\b(?:given|considering|seeing) that\b",
    rf"\bout of (?:(?:a|my|his|her|our|pure|sheer|sense of|a sense of|deep) )*{_MOTIVES}",
)
_AIMS = (
    r"\bso that\b|\bin order (?:to|that|not to)\b|\bso as (?:not )?to\b",
    rf"\bso {_WHO}{_CAN}|\bso {_ALL} \w",
    r"\bfor the (?:sake of|good of|benefit of|purpose of|greater good)\b|\bfor peace of mind\b",
    r"\bfor (?:my|our|their|\w+'s) (?:(?:own|mutual|common|long-term) )?"
    r"(?:sake|benefit|good|peace of mind|well-?being)\b",
    r"\bwith (?:the|an) (?:aim|goal|intention|intent|hope|purpose|view) (?:of|to|that)\b",
    r"\bwith a view to\b|\bin (?:the )?hopes? (?:of|that|to)\b",
    r"\bas an? (?:way|means|sign|token|gesture|show|mark|expression|step) (?:of|to|towards?)\b",
)
_BENEFITS = (
    rf", (?:all )?(?:of )?which {_MAY}{_HELPS}|\bwhich (?:will|would) (?:also )?{_HELPS}",
    r"(?:^|[.!?;] ?)(?:and )?(?:this|that|it|doing so)(?: (?:way|approach|step|choice|action))?,? "
    rf"{_MAY}{_HELPS}",
    r"(?:^|[.!?;,] ?)(?:that|this) way,? ",
    r"(?:^|[.!?;] ?)(?:it|this|that)(?:'s| is) (?:the |only |a )?(?:right|fair|important|essential|"
    r"best|honest|responsible|crucial|vital|key|most|way|what|how|who|my)\b",
    r"(?<!\bby )(?<!^)\bensuring\b|\bthereby\b|\band (?:prove|demonstrate) (?:my|myself|that)\b",
    r"\b(?:while|thus) (?:also |still )?(?:maintaining|preserving|respecting|upholding|honou?ring|"
    r"showing|demonstrating|fostering|promoting|strengthening)\b",
)
# After a comma. Not "giving him my number", "reflecting on it", "embracing her", "knowing nobody".
_TRAILING = (
    r"(?:guaranteeing|demonstrating|proving|fostering|strengthening|promoting|honou?ring|hoping|"
    r"respecting|valuing|prioriti[sz]ing|preserving|upholding|reinforcing|minimi[sz]ing|"
    r"maximi[sz]ing|safeguarding|making sure|setting an example|trusting that|believing|"
    r"feeling that|thus|reflecting (?!on|upon|about|over))\b",
    r"embracing (?:the|this|change|new|whatever)\b",
    rf"showing (?:{_THEM} )?(?:that|how|my|our|respect|care|support)\b",
    r"knowing (?:that|it|this|I|we|he|she|they|how|my)\b",
    r"(?:allowing|enabling|letting|giving|helping) (?:me|us|myself|everyone|everybody|all|both)\b",
    rf"(?:maintaining|protecting|supporting|restoring|keeping)(?: [\w'-]+){{0,3}} {_GOODS}",
)
_RULES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        *(_REASONS + _AIMS + _BENEFITS),
        *(rf",(?: (?:while|and|all while))? {participle}" for participle in _TRAILING),
    )
)

# Aims in the infinitive. "To ask for the lease" is part of an action; these seldom are.
_TO = (
    r"(?:ensure|guarantee|make sure|demonstrate|foster|feel)\b",
    rf"(?:show|prove)(?: {_THEM})?(?: that| how (?:much|serious|capable)| myself| my| our)\b",
    r"express (?:my|our)\b",
    r"(?:maintain|preserve|keep|protect|promote|restore|uphold|honou?r|safeguard|strengthen|build|"
    rf"assert|reflect)(?: [\w'-]+){{0,3}} {_GOODS}",
    rf"(?:gain|earn|win|boost|enhance|improve|advance|increase)(?: [\w'-]+){{0,2}} {_GAINS}",
    rf"(?:avoid|prevent|minimi[sz]e)(?: [\w'-]+){{0,2}} {_ILLS}",
    rf"please {_THEM}|experience (?:something|the (?:thrill|excitement)|new|a new)\b",
)
_AIM = re.compile(
    rf"\bto (?:(?:better|fully|further|also|help) )?(?:{'|'.join(_TO)})", re.IGNORECASE
)
# What may take such an infinitive: "I ask him to ensure ...", "I try to keep the peace".
_ASKED = (
    r"(?:ask|tell|told|urge|want|get|need|instruct|require|request|remind|help|invite|persuade|"
    r"convince|encourage|beg|hire|appoint|teach|like|love|arrange for|call on|allow|expect|order)"
)
_TAKEN_ON = (
    r"(?:promise|offer|agree|plan|try|trie|arrange|commit|vow|work|have|ha|intend|decide|refuse|"
    r"decline|continue|swear|pledge|volunteer|fail|start|begin|vote|fight|learn|choose|prepare|"
    r"propose|right|duty|way|campaign|task|hesitate|dare|manage|aim|prefer|how|what|whether|"
    r"supposed|able|free|ready|willing|happy|going|used|chance|power|proposal)"
)
_TAKES_TO = re.compile(
    rf"\b(?:{_ASKED}(?:e?s|e?d|ing)?(?: (?!for\b|about\b|into\b|against\b)[\w'-]+){{0,5}}"
    rf"|{_TAKEN_ON}(?:e?s|e?d|ing)?(?: (?:him|her|them|myself|not))?)$",
    re.IGNORECASE,
)


def benefit_clause(row: ActionRow, _: ValidateConfig) -> Violation | None:
    """It says why, what for, or how good it is.

    An infinitive that belongs to the action passes: "I go to the landlord to ask for the lease".
    """
    text = plain(row.action)
    for rule in _RULES:
        if match := rule.search(text):
            return _violation(match[0])
    for match in _AIM.finditer(text):
        clause = re.split(r"[.!?;,]", text[: match.start()])[-1].rstrip()
        if not _TAKES_TO.search(clause):
            return _violation(match[0])
    return None


def _violation(found: str) -> Violation:
    return Violation("benefit_clause", f'"{found.strip(" .,;!?")}": leave out reasons and aims')
