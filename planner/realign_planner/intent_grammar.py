"""The intent grammar: how a request rules something out, leaves it open, or mistypes it. Data for `intent`."""

from __future__ import annotations

from typing import Final

from realign_planner.intent_rules import DATA

# "no X" and "instead of X" rule out what follows at once; a negated wish rules out all up to the end of the clause.
FILLER: Final = (
    r"(?:a|an|any|the|all|more|further|need|needs|needed|for|of|to|use|using|doing|do|make|making|building|"
    r"running|training|generating|creating|kinds?|sort|form|usual|standard|regular|classic|plain|simple|with|by|"
    r"about|as|into|via|me|this|that|your|our|old|it|be|being|want|another|stuff|in|on)"
)
OUTDONE: Final = (
    r"\b(?:rather|sooner|prefer\w*|favou?r\w*)\b[^.;:!?]*\b(?:than|over|to)"  # "I'd rather have this than that"
)
DIRECT_NEGATION: Final = (
    r"\b(?:no|not(?! (?:only|just|merely|limited|sure|enough|certain))|without|never|neither|nor|avoid|skip|"
    r"forget(?: about)?|drop|ignore|exclude|omit|"
    r"instead of|rather than|other than|anything but|except(?: for)?|apart from|minus|sans|non|isn'?t|aren'?t)\b"
)
WISH_NEGATION: Final = (
    r"\b(?:do not|don'?t|did not|didn'?t|never|no need to|would not|wouldn'?t|won'?t|should not|shouldn'?t|"
    r"must not|mustn'?t|not going to|not here to|not (?:interested in|looking for|asking for|after))"
    r"(?: (?:really|actually|even|ever|please))*"
    r"(?<!not interested in)(?<!not looking for)(?<!not asking for)(?<!not after) (?:want|need|use|do|make|create|"
    r"generate|build|give|produce|run|go|bother|care|include|like|require|involve|mix|add|be|start|try|treat|turn|"
    r"curate|prepare|collect|set up)\b"
    r"|\bnot (?:interested in|looking for|asking for|after)\b"
)
CLAUSE_END: Final = (
    r"[,.;:!?()\n]|\b(?:but|instead(?! of)|rather(?! than)|however|just|only|simply|i want|i need|i'd like|"
    r"we want|we need|what i|give me|go for|go with|switch to|please|because|since|so that)\b"
)
LIST_JOINT: Final = rf"^(?: {DATA})?(?: \w+)? ?(?:or|nor|and|/)(?: (?:any|a|an|the|no))* ?$"
AFTER_NEGATION: Final = (
    r"^(?: \w+){0,2} (?:is|are|was|were|would be|will be)(?:n'?t| not) (?:what|want\w*|need\w*|requir\w*|suit\w*|"
    r"an? option|right|useful|possible|for (?:me|us)|it\b|of interest|allowed)"
    r"|^(?: \w+){0,2} (?:is|are) (?:out|off|excluded|unwanted|forbidden|ruled out)\b|"
    r"^(?: \w+){0,1} (?:won'?t|will not|can'?t|cannot) (?:do|work|help|be used)\b|^ ?\? no\b"
)
# A subject put aside: unlike the negations above this also holds for complaints ("it is not about hallucination").
_CONCERN: Final = (
    r"(?:point|problem|goal|issue|aim|concern|purpose|focus|objective|topic|subject|question|matter|priority|target|"
    r"worry|task)s?"
)
_IS_NOT: Final = r"(?: is| are|'s|'re| was| were)(?:n'?t| not)(?: really| actually| even)?"
TOPIC_NEGATION: Final = (
    r"\b(?:is|are|was|were)n'?t (?:really |actually )?about\b|\bnot (?:really |actually |at all )?about\b|"
    r"\b(?:nothing|not anything) to do with\b|\bunrelated to\b|"
    rf"\b{_CONCERN}(?: here)?{_IS_NOT}\b(?! (?:only|just|merely|to|sure|\w+ing)\b)|"
    r"\b(?:do not|don'?t) (?:really )?(?:care|worry|mind)(?: about| if| whether)?\b"
)
TOPIC_END: Final = rf"{CLAUSE_END}|\b(?:so|then|it'?s|it is|(?:and )?fine ?tun(?:e|ing))\b"
TOPIC_AFTER: Final = (
    rf"^(?: \w+)?{_IS_NOT} (?:(?:the|an?|any|our|my|your) (?:main |real |actual )?{_CONCERN}\b|relevant\b|"
    r"what (?:this|it|that|i|we)\b)|"
    r"^(?: \w+)? (?:is|are) (?:irrelevant|beside the point|no (?:problem|issue|concern))\b"
)
# A fault that the request puts up with; "saying no is fine" asks for refusals and is no such thing.
FAULT: Final = r"^(?:hal|confabul|invent|fabricat|mak|made|fak)"
FORGIVEN: Final = r"^(?: \w+)? (?:is|are) (?:fine(?! tun)|ok|okay|acceptable|allowed|welcome)\b"
# What was done before the step that is asked for now.
_DONE_WORDS: Final = r"(?:(?!\b(?:now|next|but)\b)[^.;,:!?\n])*"
DONE: Final = (
    r"\b(?:i|we)(?:"
    r"(?:'ve| have| had)?(?: already)? (?:tried|did|done|ran|used|finished|completed|started with)(?! to\b)"
    rf"{_DONE_WORDS}|(?:'ve| have| had)(?: got)? {_DONE_WORDS}\balready\b|(?: already have| have already| already had)"
    rf"{_DONE_WORDS})(?=(?s:.)*\b(?:now|next|this time)\b)"
)
# Words by which the user says that the choice is open.
UNDECIDED: Final = (
    r"\b(?:i'?m|i am|we'?re|we are) (?:not sure|unsure|undecided|"
    r"not certain)(?= (?:whether|if|which|what|between|how)\b|"
    r"[,.;:]? ?(?:maybe|perhaps|either|sft|dpo|rlvr|supervised|preference)\b)|"
    r"\b(?:i|we) (?:don'?t|do not) know (?:whether|if|which|what (?:kind|type|sort|data|format))\b"
    r"|\bwhich(?:ever)? (?:type|kind|method|workflow|one) (?:is|fits|works|would|should|do you)\b|"
    r"\byou (?:decide|choose|pick)\b|\bwhatever (?:works|fits|is best|you)\b|\bor (?:maybe|perhaps|something)\b"
)

# Words worth repairing when mistyped, each an own word or close to none: compared letter by letter.
VOCABULARY: Final = (
    "abstain", "abstention", "arithmetic", "calibrate", "calibrated", "calibration", "chosen", "conversations",
    "demonstration", "demonstrations", "dialogues", "fabricate", "fabricating", "finetune", "finetuning", "hallucinate",
    "hallucinates", "hallucinating", "hallucination", "hallucinations", "instruction", "instructions", "mathematics",
    "overconfidence", "overconfident", "pairwise", "preference", "preferences", "preferred", "programming",
    "reasoning", "refusal", "refusals", "rejected", "summaries", "supervised", "uncertain", "uncertainty",
    "verifiable", "verification", "verified", "verifier",
)  # fmt: skip
# Right words that are close to one of the above.
CORRECT: Final = frozenset(
    [
        "rejecting",
        "rejection",
        "rejections",
        "rejects",
        "preferable",
        "preferably",
        "instructor",
        "instructors",
        "instructive",
        "reason",
        "reasons",
        "reasoned",
        "reasonable",
        "programmer",
        "programmers",
        "supervisor",
        "supervision",
        "supervise",
        "verify",
        "verifies",
        "verifying",
        "certain",
        "certainty",
        "uncertainly",
        "conversation",
        "dialogue",
        "dialogues",
        "refuse",
        "refused",
        "prefer",
        "prefers",
        "mathematic",
        "mathematical",
        "verifiably",
        "verifiers",
        "fabricated",
        "fabrication",
        "fabrications",
        "calibrating",
        "demonstrate",
        "demonstrated",
        "demonstrates",
        "referred",
        "preferring",
        "tuning",
    ]
)
