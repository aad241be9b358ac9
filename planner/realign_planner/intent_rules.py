"""The intent rules: phrases that tell which data a request is about, with weights. Data only; `intent` reads it.

Patterns see lower-case text with blanks for hyphens and underscores, " / " for slashes, and without model names and
paths. Where two matches overlap, the heavier and then the longer one counts. Weights are own choices, in five steps:

10  the name of a data type or of a method that takes it (the seed table's keywords are at least 6)
8   the shape of its rows
6   a word that hardly belongs to another type
4   a subject or a complaint that points to it
3   a hint
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from realign_planner.data_types import DataType


@dataclass(frozen=True, slots=True)
class Rule:
    """A phrase and what it speaks for. `negatable` is False for complaints: "no more inventing" asks for the cure."""

    data_type: DataType | None  # None: the phrase says nothing, and covers words that would
    weight: float
    pattern: str
    negatable: bool = True


_ANSWERS: Final = (
    r"(?:answers?|responses?|repl(?:y|ies)|completions?|outputs?|versions?|generations?|ones?|texts?|"
    r"summar(?:y|ies)|examples?|options?|candidates?)"
)
DATA: Final = (
    r"(?:data(?: ?sets?)?|pairs?|examples?|records?|rows?|samples?|sets?|corpus|collection|triples?|triplets?)"
)
_METHOD: Final = r"(?:dpo|sft|srf|rlvr|supervised|preference|instruction|verif\w+|calibrat\w+|anti ?hallucination)"
_MAKING_UP: Final = (
    r"(?:facts?|things?|stuff|answers?|sources?|citations?|references?|quotes?|details?|numbers?|information|"
    r"nonsense|claims?|names?|studies|papers?|figures?|events?|dates?|cases?)"
)

# fmt: off
RULES: Final = (
    # --- phrases that only look like evidence ---
    Rule(None, 12,
         rf"\b(?:i|we)(?:'d| would)? prefer (?=(?:to (?:use|do|have|get|make) |an? |the |some |"
         rf"plain )?{_METHOD})"),
    Rule(None, 12,
         r"\bpreferably\b|\bif you prefer\b|\bpreferred (?:format|language|output|model)\b|"
         r"\buser preferences file\b"),
    Rule(None, 12,
         r"\bproof of concept\b|\bproof ?read\w*\b|\bcode of conduct\b|"
         r"\b(?:zip|post|postal|dress|source|building|bar|qr|tax) codes?\b|\bcode ?books?\b"),
    Rule(None, 12, r"\bfor (?:that|this|the same|any|no) reason\b|\bwithin reason\b|\breason(?:s)? (?:why|for|that)\b"),
    Rule(None, 12,
         r"\bhallucinogen\w*\b|\bconfidential\w*\b|\bi'?m (?:confident|honest)\b|\bto be honest\b|"
         r"\bhonestly\b"),
    Rule(None, 12,
         r"\b(?:have|has|got|existing|previous|finished|current|our|my|from) (?:an? |the |our |my )?(?:sft|"
         r"srf|supervised|fine ?tuned) (?:baseline|checkpoint|model|stage|phase|policy|run)\b|"
         r"\b(?:after|following|on top of|beyond|since|post|pre) (?:an? |the |our )?(?:sft|"
         r"supervised fine ?tun\w+)\b|\b(?:already|just) (?:did|done|do|finished|completed|ran|run|"
         r"had)(?: the| our| some)? (?:sft|supervised(?: fine ?tun\w+)?)\b|"
         r"\b(?:sft|supervised fine ?tun\w+) (?:is|was|has been) (?:already )?(?:done|finished|complete\w*|"
         r"over)\b"),
    # --- DPO: a better and a worse answer ---
    Rule("dpo", 10, rf"\bdpo\b|\b(?:dop|pdo)(?= {DATA}\b)|\bd\.p\.o\.?|\bdirect preference(?: optimi[sz]\w+)?\b"),
    Rule("dpo", 10,
         r"\b(?:sft|supervised(?: fine ?tun\w+)?)\b[^.;]{0,30}\b(?:then|followed by|before|"
         r"and after that)\b[^.;]{0,15}\b(?:dpo|preference\w*)\b"),
    Rule("dpo", 9,
         r"\b(?:ipo|kto|orpo|simpo|cpo|rpo|rlaif)\b|\bpreference (?:optimi[sz]\w+|tun\w+|align\w+|learning|"
         r"model\w*|train\w+)\b"),
    Rule("dpo", 9,
         rf"\b(?:human |ai |user |pairwise |synthetic )?preferences?\b(?: (?:ranking|comparison|alignment|"
         rf"feedback|judg\w+))? ?{DATA}\b"),
    Rule("dpo", 8,
         rf"\b(?:chosen|accepted|preferred|winning|winners?|good|positive|better|best|liked|favou?red|"
         rf"strong)\b(?: {_ANSWERS})? ?(?:/|and|or|vs\.?|versus|over|against|with|plus|than|to|&|"
         rf",)(?: (?:an?|the|its|their|one))*(?: corresponding| matching)? ?(?:rejected|dispreferred|"
         rf"unpreferred|losing|losers?|bad|negative|worse|worst|disliked|inferior|weak(?:er)?|poor(?:er)?)\b"),
    Rule("dpo", 8,
         rf"\b(?:rejected|worse|worst|bad|losing)\b(?: {_ANSWERS})? ?(?:/|and|or|vs\.?|versus|"
         rf"&)(?: (?:an?|the))? ?(?:chosen|better|best|good|winning|preferred)\b"),
    Rule("dpo", 8,
         r"\bone (?:good|better|strong|chosen|preferred)\b[^.;]{0,30}\bone (?:bad|worse|weak|weaker|rejected|"
         r"poor)\b"),
    Rule("dpo", 8,
         rf"\b(?:better|best|preferred|stronger) {_ANSWERS} (?:from|among|of) (?:the )?(?:worse|two|several|"
         rf"each|pair)|\b(?:which|what)\b[^.;]{{0,25}}\b(?:is|are|was|people|users|humans|raters|annotators|"
         rf"they|would be)\b[^.;]{{0,12}}\b(?:better|preferred|best|prefer|like (?:more|better)|nicer|"
         rf"more helpful)\b"),
    Rule("dpo", 8, rf"\bchosen\b(?: {_ANSWERS})?|\brejected\b(?: {_ANSWERS})?|\bdispreferred\b"),
    Rule("dpo", 8,
         rf"\bpair ?wise\b|\bside by side\b|\bhead to head\b|\ba / b\b(?: test\w*| compar\w*| {DATA})?|"
         rf"\ba versus b\b|\b(?:win|winner) ?/ ?los\w+\b"),
    Rule("dpo", 8,
         r"\breinforcement learning (?:from|with|by) (?:human|ai|user) feedback\b|\bhuman feedback\b|"
         r"\brlhf\b|\breward model\w*\b"),
    Rule("dpo", 7,
         rf"\brank(?:s|ed|ing|ings)?\b(?: (?:the|all|its|several|multiple|different|candidate|model|sampled|"
         rf"two|three|four|\d+|by quality|of|each|alternative|pairs? of))* {_ANSWERS}\b|"
         rf"\b{_ANSWERS} rank(?:ed|ing|ings)\b|\branked (?:lists?|pairs?|data|by)\b"),
    Rule("dpo", 7,
         rf"\bcompar(?:e|es|ed|ing|isons?|ative)\b(?: (?:of|between|the|two|pairs? of|alternative|different|"
         rf"model|data|candidate|multiple|several))* (?:{_ANSWERS}|{DATA})\b|"
         rf"\b(?:two|alternative|competing|paired|multiple|contrasting|contrastive) (?:\w+ )?(?:answers|"
         rf"responses|replies|completions|candidates|outputs|pairs)\b"),
    Rule("dpo", 6, r"\bpref(?:s|erences?|er|ers|erred|erring|erential)?\b|\bpreferance\w*\b"),
    Rule("dpo", 6,
         r"\bfavou?r(?:s|ed|ing)?\b[^.;]{1,40}\b(?:over|to|rather than)\b|"
         r"\b(?:like|choose|pick|select)s?\b[^.;]{1,40}\b(?:over|more than|rather than) (?=\w)"),
    Rule("dpo", 6,
         rf"\b(?:choose|pick|select|tell|distinguish|discriminate|separate|recogni[sz]e|"
         rf"know)\b[^.;]{{0,30}}\b(?:better|best|good|winning|stronger)\b(?! at\b)(?: {_ANSWERS})?|"
         rf"\b(?:best|better) of (?:n|two|four|several)\b"),
    Rule("dpo", 6,
         r"\bcomparisons?\b|\b(?:people|users|humans|customers|readers|raters|annotators|testers|"
         r"they)\b[^.;]{0,20}\b(?:would rather|like (?:more|better|best|most)|prefer|favou?r|choose|pick|"
         r"vote)\b"),
    Rule("dpo", 5,
         r"\bthumbs ?(?:up|down)\b|\bup ?votes?\b|\bdown ?votes?\b|\bhh rlhf\b|\bultra ?feedback\b|"
         r"\bhelpful(?:ness)? and harmless(?:ness)?\b|\bbradley terry\b|"
         r"\b(?:annotator|rater|user|human) (?:choices?|judg\w+|votes?|ratings?)\b"),
    Rule("dpo", 4,
         r"\balign(?:ed|ing|ment)?\b(?: (?:it|the model|him|our \w+))? (?:with|to) (?:human|our|user|people|"
         r"company|brand|editorial)\b|\bwhat (?:people|users|humans|customers|readers|our \w+) (?:like|want|"
         r"prefer|favou?r)\b"),
    Rule("dpo", 3,
         r"\balign(?:ed|ing|ment)\b|\bless (?:verbose|toxic|rude|wordy|preachy|sycophantic)\b|"
         r"\bmore (?:helpful|polite|likeable|harmless)\b|\btaste\b|\bbetter sounding\b|\bsycophan\w+\b"),
    Rule("dpo", 7,
         rf"\bpreferable\b|\bcontrast(?:s|ed|ing|ive)?\b(?= \w+)|\b(?:superior|inferior) {_ANSWERS}\b|"
         rf"\b(?:better|best|stronger)\b[^.;]{{0,60}}\b(?:worse|worst|weaker|poorer|inferior)\b|"
         rf"\b(?:correct|right|strong|clean|polished) (?:{_ANSWERS} )?(?:and|vs\.?|versus|over|"
         rf"against) (?:an? )?(?:incorrect|wrong|flawed|sloppy|weak|mediocre)(?: {_ANSWERS})?\b"),
    Rule("dpo", 7,
         rf"\bpairs? of (?:\w+ )?{_ANSWERS}\b|\b(?:order|sort|rate|grade|"
         rf"score)\w*\b[^.;]{{0,30}}\bby (?:quality|preference|helpfulness|how good)\b|"
         rf"\b(?:which|what) of (?:the )?(?:two|three|several|many)\b|\branking(?:s)?\b|"
         rf"\b\w+ (?:vs\.?|versus) (?:\w+ ){{1,2}}(?:answers|responses|replies|completions|versions)\b|"
         rf"\belo\b|\bwin rates?\b"),
    Rule("dpo", 6,
         r"\b(?:like|likes|love|enjoy)\b(?: the)?(?: \w+){1,3} (?:one|ones|version|answer|reply)? ?(?:more|"
         r"better)(?: than)?\b|\bone (?:answer|reply|response|completion|version)\b[^.;]{0,30}\b(?:the other|"
         r"another)\b|\btoo (?:wordy|verbose|blunt|rude|long winded|chatty|stiff|robotic|cold)\b|"
         r"\b(?:several|multiple|many|two|three|four|n|k|\d+) (?:alternative )?(?:completions|answers|"
         r"responses|replies|candidates|generations|drafts)\b(?: per| for (?:each|every))?"),
    # --- SFT: good answers to imitate ---
    Rule("sft", 10, r"\bsft\b|\bsrf\b|\bs\.f\.t\.?|\bsupervised (?:fine ?tun\w+|train\w+|learning|data\w*|tun\w+)\b"),
    Rule("sft", 7, r"\bsupervised\b"),
    Rule("sft", 8,
         rf"\binstruct(?:ion|ions|ional)?\b ?(?:/ ?(?:response|answer|output) ?)?(?:follow\w*|tun\w+|"
         rf"style|type|like|formatted|{DATA}|fine ?tun\w+|response|answer|format|prompts?)\b|\bfollow(?:s|"
         rf"ing)?\b(?: \w+){{0,2}} (?:instructions?|commands?|directions)\b"),
    Rule("sft", 8,
         rf"\b(?:prompts?|instructions?|inputs?|questions?) ?(?:/|and|,|&|to) ?(?:their |its |matching |"
         rf"correct |good )?(?:completions?|responses?|outputs?|repl(?:y|ies))\b|"
         rf"\b(?:prompt|question|input|query) (?:completion|response|answer|output|reply)s?\b(?: {DATA})?"),
    Rule("sft", 7,
         rf"\bq ?(?:&|and|/|\+|n) ?a'?s?\b(?: {DATA})?|\bqa (?:{DATA})\b|"
         rf"\bquestions? ?(?:/|and|&|,) ?answers?\b(?: {DATA})?|\bfaqs?\b"),
    Rule("sft", 7,
         r"\bdemonstrations?\b|\bimitat\w+\b|\bmimic\w*\b|\bbehaviou?r(?:al)? cloning\b|"
         r"\b(?:alpaca|share ?gpt|dolly|ultra ?chat|open ?orca|tulu|self instruct|open ?assistant|oasst)\b"),
    Rule("sft", 7,
         r"\b(?:chat|conversation(?:al)?|dialog(?:ue)?s?|multi ?turn) ?(?:data\w*|examples?|logs?|"
         r"transcripts?|turns?|format|samples?|corpus|train\w+|tun\w+|records?|pairs?|sets?)\b"),
    Rule("sft", 6, r"\b(?:conversations?|dialog(?:ue)?s?|chats?|multi ?turn|chat ?bots?)\b|\bmessages format\b"),
    Rule("sft", 6,
         r"\bsummar(?:y|ies|i[sz]\w+)\b|\btranslat\w+\b|\bparaphras\w+\b|\brewrit\w+\b|\bclassif\w+\b|"
         r"\bextract(?:ion)? (?:entities|fields|information|structured)\b|\bnamed entit\w+\b"),
    Rule("sft", 6,
         rf"\b(?:good|ideal|gold|golden|model(?= answers)|expert|high quality|exemplary|reference|curated|"
         rf"example|sample|hand ?written|polished|well written) (?:{_ANSWERS})\b(?! (?:over|vs|versus|"
         rf"and (?:bad|worse|poor|rejected|weak)))"),
    Rule("sft", 5,
         r"\b(?:in|adopt|copy|learn|match|keep|use|capture|teach)\b[^.;,]{0,25}\b(?:style|tone|voice|persona|"
         r"format|manner|jargon|terminology|vocabulary)\b|\b(?:write|writes|sound|sounds|speak|talk|respond|"
         r"reply|answer)s? (?:more )?like\b|\brole ?play\w*\b|\bpersonas?\b"),
    Rule("sft", 5,
         r"\b(?:answer\w*|respond\w*|repl(?:y|ies|ying))\b(?: \w+){0,3} (?:questions?|quer(?:y|ies)|emails?|"
         r"tickets?|customers?|users?|requests?)\b|\bcustomer (?:support|service)\b|\bhelp ?desk\b|"
         r"\bsupport (?:agent|tickets?|bot)\b"),
    Rule("sft", 5,
         r"\b(?:teach|learn|learns|know|knows|memori[sz]e|absorb|ingest|understand|"
         r"familiar with)\b[^.;,]{0,25}\b(?:handbook|manual|books?|documents?|documentation|docs|wiki|"
         r"chapters?|textbook|material|contents?|everything|facts|basics|procedures|rules|polic(?:y|ies)|"
         r"domain|subject|knowledge|corpus|product)\b|\bdomain (?:adapt\w+|knowledge|expert\w*|specific)\b|"
         r"\bknowledge injection\b"),
    Rule("sft", 4, r"\bfine ?tun(?:e|es|ed|ing|er)\b|\bfinetun\w*\b|\bfine toon\w*\b"),
    Rule("sft", 4,
         r"\binstruct(?:ion|ions)?\b|\bdistill?(?:ation|ing|ed)?\b|\bassistant\b|\btutor\w*\b|"
         r"\bfunction calling\b|\btool (?:use|calls?|calling)\b|\bstructured output\b|"
         r"\b(?:valid )?json output\b|\bhow to write\b|"
         r"\bwrit(?:e|ing) (?:emails?|letters?|poems?|stories|reports?|articles?|notes)\b"),
    Rule("sft", 3,
         r"\blora\b|\badapters?\b|\bcurriculum\b|\bskills?\b|\bexplanations?\b|\bexplain\w*\b|"
         r"\bexample answers\b|\btraining (?:examples|text)\b|\bproduct knowledge\b|\bstories\b|\bpoems?\b|"
         r"\bemails?\b"),
    Rule("sft", 5,
         r"\bexchanges\b|\bflash ?cards?\b|\bknowledge base\b|\bexperts? (?:in|on|at|about)\b|"
         r"\bspecialis[tz]\w*\b|\bspeciali[sz]e\w*\b|\bcustomi[sz]\w*\b|"
         r"\badapt\w*\b(?: \w+){0,4} (?:to|for) (?:our|my|the|this)\b|\bcopywrit\w+\b|\bghost ?writ\w+\b|"
         r"\blessons?\b"),
    Rule("sft", 3,
         r"\b(?:train|teach|learn|tune)\w*\b(?: \w+){0,4} (?:on|from|using|with|about) (?:my|our|this|these|"
         r"those|the)\b|\bknows? about\b|\btalk about\b"),
    # --- RLVR: answers that a program can check ---
    Rule("rlvr", 10,
         r"\brlvr\b|\br\.l\.v\.r\.?|\b(?:reinforcement learning|rl) (?:with|from|using|on|via|"
         r"by) (?:verif\w+|checkable|programmatic|automatic)\b(?: rewards?)?|\bverif\w+ rewards?\b|"
         r"\brewards? verif\w+\b"),
    Rule("rlvr", 9,
         r"\bgrpo\b|\brejection sampl\w+\b|\b(?:r1|o1) (?:style|like)\b|\bself (?:taught|play) reasoner\b|"
         r"\bstar bootstrapp\w+\b"),
    Rule("rlvr", 8,
         r"\b(?:verified|verifiable|checkable|checked|correct) (?:reasoning|math\w*|solutions?|proofs?|code|"
         r"traces?|problems?|chains?|steps?|derivations?)\b|\breasoning (?:traces?|chains?|steps?|problems?|"
         r"data\w*|paths?|tasks?|model)\b"),
    Rule("rlvr", 7, r"\bverif(?:y|ies|ied|iable|iably|ication|ications|ier|iers|iability|ying)\b|\bveri?fiable\b"),
    Rule("rlvr", 7,
         r"\b(?:auto(?:matically|matic)?|programmatic(?:ally)?|machine|computer|mechanically|objectively|"
         r"deterministically) ?(?:check\w*|grad\w+|scor\w+|test\w*|verif\w+|judg\w+|confirm\w*|validat\w+)\b|"
         r"\bcheck(?:ed|able)?\b[^.;,]{0,15}\b(?:automatically|programmatically|"
         r"by (?:a )?(?:program|machine|script|computer|code)|mechanically|objectively|exactly)\b|"
         r"\b(?:answers?|solutions?|results?|output)\b[^.;,]{0,15}\b(?:can|could|may) be (?:check\w*|test\w*|"
         r"comput\w*|confirm\w*|validat\w*|proven|verif\w+)\b"),
    Rule("rlvr", 7,
         r"\b(?:gsm ?8 ?k\w*|aime\w*|amc ?\d+|math ?500|humaneval|mbpp|live ?code ?bench|code ?contests|"
         r"codeforces|leet ?code|big math|numina\w*|deep ?scaler|arc agi|svamp|mathqa|olympiad\w*|hendrycks|"
         r"minif2f|putnam|kattis|project euler|swe bench|gpqa)\b"),
    Rule("rlvr", 7,
         r"\bunit tests?\b|\btest (?:cases?|suites?)\b|\bpass(?:es|ing)? (?:the |all |its |their |"
         r"hidden )?tests?\b|\bpass ?@ ?\w+\b|\b(?:compil|execut)(?:e|es|ed|able|ing)\b"),
    Rule("rlvr", 6,
         r"\breason(?:ing|er|ers)?\b(?! (?:why|for|that)\b)|\bchains? of thoughts?\b|\bcot\b|"
         r"\bstep by step\b|\bthink(?:ing)? (?:traces?|step\w*|harder|longer|before|through)\b|"
         r"\bmulti ?step\b|\bdeduc\w+\b|\blogical(?:ly)?\b"),
    Rule("rlvr", 5,
         r"\b(?:ground ?truth|known|single|unique|definite|exact|numeric(?:al)?|final|closed form|objective|"
         r"right or wrong|correct) (?:final )?(?:answers?|solutions?|results?|numbers?)\b|\banswer keys?\b|"
         r"\bright or wrong\b|\brewards? (?:for|when|if|on|only) \w*"),
    Rule("rlvr", 5,
         r"\bmath(?:s|ematic\w*)?\b|\barithmetic\w*\b|\balgebra\w*\b|\bgeometr\w+\b|\bcalculus\b|"
         r"\btrigonometr\w+\b|\bequations?\b|\bintegrals?\b|\bderivatives?\b|\bnumber theory\b|"
         r"\bcombinatori\w+\b|\bprobability (?:problems?|questions?|exercises?)\b|"
         r"\bstatistics (?:problems?|exercises?)\b|\bword problems?\b|\btheorems?\b|\blemmas?\b|\bproofs?\b|"
         r"\bprov(?:e|ing) (?:theorems?|that|it|things)\b|\blean ?4?\b(?= proof| theorem|\b)"),
    Rule("rlvr", 5,
         r"\bcod(?:e|er|ing)\b|\bprogram(?:s|ming|mer)?\b|\balgorithm\w*\b|\bpython\b|\bjavascript\b|"
         r"\brust\b|\bc\+\+|\bjava\b|\bsql\b|\bsoftware engineering\b|\bdebug\w*\b|\bbug fix\w*\b|"
         r"\bfix(?:ing)? bugs\b"),
    Rule("rlvr", 5,
         r"\b(?:logic|number|sudoku|crossword|brain ?teaser|chess|riddle)\w*(?: \w+)? ?(?:puzzles?|problems?|"
         r"tasks?|games?)\b|\bpuzzles?\b|\bsudokus?\b|\bbrain ?teasers?\b|\blogic\b"),
    Rule("rlvr", 4,
         r"\b(?:physics|chemistry|engineering|stem|science|quantitative|competition|contest|exam|textbook|"
         r"homework|finance|accounting|unit conversion) (?:problems?|exercises?|calculations?)\b|"
         r"\bproblem solving\b|\bsolv(?:e|es|ed|ing|er|ers)\b|"
         r"\b(?:problems?|exercises?) (?:with|and) (?:\w+ )?(?:solutions?|answers?)\b|"
         r"\bcalculat(?:e|es|ions?|ing|or)\b|\bcount(?:ing)? (?:correctly|better|letters)\b"),
    Rule("rlvr", 4, r"\b(?:rl|reinforcement learning|reinforce\w*)\b|\brewards?\b|\bpass rates?\b"),
    Rule("rlvr", 6,
         r"\b(?:scored?|graded?|checked|judged|rewarded|tested|marked) (?:by|with|through) (?:an? |"
         r"the )?(?:script|program|function|rule|rules|code|interpreter|compiler|solver|tests?|checker|regex|"
         r"calculator|computer)\b|\bexpected (?:output|answer|result|value)s?\b|\bcorrectness\b|"
         r"\b(?:outcome|process|binary|exact match|rule based) rewards?\b|\bexact match\b|\bsolvers?\b|"
         r"\b(?:sym|z3|wolfram)py?\b|\bscript (?:can|could|that|which) \w+\b|"
         r"\bshow(?:s|ing)? (?:its|the|their) work(?:ing)?\b|\bworked (?:examples|solutions)\b|"
         r"\bderivations?\b"),
    Rule("rlvr", 4,
         r"\b(?:long )?(?:division|multiplication|addition|subtraction)s?\b|\bfractions?\b|\bpercentages?\b|"
         r"\bdecimals?\b|\bsums\b|\bnumeracy\b|\bnumerical\b|\briddles?\b|\bstem\b|\bcontests?\b|"
         r"\bregex\w*\b|\bmultiple choice\b|\bquantitative\b|\bchecker\b|\bcompilers?\b|\bfunctions? that\b|"
         r"\bstatistics\b|\blinear algebra\b|\bphysics\b|\bmatrix|matrices\b"),
    # --- anti-hallucination: knowing what it does not know ---
    Rule("antihallucination", 10,
         r"\banti ?hall?ucinat\w*\b|\bcalibration (?:data\w*|training|set|examples?|workflow)\b|"
         r"\bnon hallucinat\w+\b"),
    Rule("antihallucination", 9,
         r"\bhall?ucinat\w+ (?:data\w*|examples?|workflow|train\w+|pairs?)\b|"
         r"\brefusals? (?:data\w*|training|examples?|workflow)\b|"
         r"\babst(?:ain|ention) (?:data\w*|training|examples?|workflow)\b"),
    Rule("antihallucination", 8, r"\bhall?ucinat\w*\b|\bhal+uc[a-z]*\b|\bconfabulat\w*\b", negatable=False),
    Rule("antihallucination", 8,
         rf"\b(?:mak(?:e|es|ing)|made|invent(?:s|ed|ing)?|fabricat\w*|concoct\w*|dream(?:s|ing)? up|conjur\w+|"
         rf"fak(?:e|es|ing))(?: up)?(?: \w+){{0,2}} {_MAKING_UP}(?: up\b)|"
         rf"\b(?:mak(?:e|es|ing)|made) (?:it |them |everything |anything |something )?(?:all )?up\b|"
         rf"\b(?:invent|fabricat|concoct)\w*(?: \w+){{0,2}} {_MAKING_UP}\b|\bfabricat\w+\b|"
         rf"\b(?:fake|made up|nonexistent|non existent|bogus|imaginary|invented|false) {_MAKING_UP}\b|"
         rf"\binvents?\b|\bbullshit\w*\b|\bbluff\w*\b|\blie(?:s)? to\b|\blying\b",
         negatable=False),
    Rule("antihallucination", 8,
         r"\b(?:do|does|did|is|are|was)(?:n'?t| not) (?:really |actually |quite )?(?:know|sure|certain|"
         r"confident)\b|\bdon'?t knows?\b|\bidk\b|\bunknowns?\b|\bno idea\b|\bnot (?:know|sure|certain)\b|"
         r"\bunsure\b|\bi do not know\b|\black(?:s|ing)? (?:the )?(?:knowledge|evidence|information)\b|"
         r"\bcan(?:'?t|not| not) (?:be )?(?:answer\w*|know\w*)\b|\bunanswerable\b|"
         r"\bwithout (?:an |any )?answers?\b",
         negatable=False),
    Rule("antihallucination", 8,
         r"\bcalibrat\w+\b|\bmis ?calibrat\w+\b|\babst(?:ain|ains|aining|ained|ention|entions)\b|"
         r"\brefus(?:e|es|al|als|ing|ed)\b|\bself knowledge\b|\bknowledge bound\w+\b|\br tuning\b|"
         r"\bover ?refus\w+\b|\bdeclin(?:e|es|ing)\b"),
    Rule("antihallucination", 8,
         r"\bover ?confiden\w*\b|\b(?:too|overly|falsely|wrongly|blindly) (?:confident|sure|certain)\w*\b|"
         r"\bconfident(?:ly)? (?:wrong|false|incorrect|mistaken|nonsense|lie\w*)\b|"
         r"\bwrong(?:ly)?\b[^.;]{0,15}\bconfiden\w+\b|\bconfiden\w+\b[^.;]{0,25}\b(?:wrong|mistaken|false|"
         r"incorrect|nonsense)\b|\bsounds? (?:sure|confident|certain)\b",
         negatable=False),
    Rule("antihallucination", 7,
         r"\bknow(?:s|ing)? (?:what|when|where) (?:it|he|they|the model|one) (?:does(?:n'?t| not)|"
         r"do(?:n'?t| not)|is(?:n'?t| not)) ?\w*\b|\bknow(?:s|ing)? (?:its|their|the) (?:own )?(?:limits?|"
         r"limitations?|bounds?|boundaries)\b|\b(?:its|their) (?:own )?(?:limits?|limitations|ignorance)\b|"
         r"\b(?:only|just) (?:answers?|speaks?|responds?|says?|claims?|states?)\b[^.;]{0,40}\b(?:knows?|sure|"
         r"supported|certain|evidence|in the (?:text|source|document))\b"),
    Rule("antihallucination", 7,
         r"\b(?:un)?certaint(?:y|ies)\b|\buncertain\b|\bconfidence\b|\bconfident(?:ly)?\b|"
         r"\bexpected calibration error\b|\bece\b|\bbrier\b|\bauroc\b|\bsimple ?qa\b|\btruthful ?qa\b|"
         r"\bhalu ?eval\b"),
    Rule("antihallucination", 7,
         r"\badmit(?:s|ting|ted)?\b|\backnowledg\w+\b|\bown up to\b|\bsay(?:s|ing)? so\b|"
         r"\bsay(?:s|ing)? no\b|\bfalse premis\w+\b|\btrick questions?\b|\bhedg(?:e|es|ing)\b",
         negatable=False),
    Rule("antihallucination", 5,
         r"\bfactual(?:ity|ly)?\b|\btruthful\w*\b|\bhonest(?:y)?\b|\bmisinformation\b|\buntrue\b|"
         r"\bfalsehoods?\b|\bgrounded(?:ness)?\b|\bfaithful(?:ness|ly)?\b|\bunfounded\b|\bunsupported\b|"
         r"\bstick(?:s|ing)? to (?:the )?(?:facts?|sources?|text|truth|what)\b|\btrustworth\w+\b|"
         r"\b(?:wild |random )?guess(?:es|ing|work)?\b|\bgets? facts wrong\b|\bfacts? wrong\b|"
         r"\bfactual errors?\b"),
    Rule("antihallucination", 7,
         r"\b(?:not|never|isn'?t|nowhere) (?:be )?(?:in|covered|mentioned|stated|supported|contained|found|"
         r"answered|backed|documented|given)\b(?: (?:by|in))? (?:the |its |our |any )?(?:document|text|"
         r"source|material|context|book|manual|handbook|evidence|policy|contract|data|file)\w*\b|"
         r"\b(?:does|do|did)(?:n'?t| not) (?:mention|say|cover|contain|support|state|include|have)\b|"
         r"\bsilent (?:on|about)\b|\b(?:out of|outside(?: of)?|beyond) (?:the |its |their |our )?(?:scope|"
         r"document|source|text|knowledge|training|material|manual|book|domain)s?\b",
         negatable=False),
    Rule("antihallucination", 7,
         r"\b(?:keep|stop|prevent|hold|restrain|refrain)\w*\b(?: (?:it|him|the (?:model|bot|assistant)|"
         r"them))?(?: back)? from (?:answering|responding|replying|speaking|claiming|asserting|guessing)\b|"
         r"\bhold(?:s|ing)? back\b|\b(?:should|must|can|may|will|to) not answer\b|"
         r"\b(?:stay|keep|remain)(?:s|ing)? (?:quiet|silent)\b|\bsays? nothing\b|"
         r"\bknow(?:s|ing)? when (?:to|not to)\b|\bpass on (?:questions|what)\b|"
         r"\bno answer(?:s)?(?: found)?\b|\bhas no (?:answer|basis)\b",
         negatable=False),
    Rule("antihallucination", 7,
         r"\bpretend\w*\b|\bspeculat\w+\b|\bignoran(?:t|ce)\b|\bconfess\w*\b|\bhumility\b|\bhumble\b|"
         r"\bcock(?:y|iness|sure)\b|\barrogan(?:t|ce)\b|\bknow it all\b|"
         r"\b(?:so|less|more|too|very) (?:sure|certain|cautious|careful)\b|"
         r"\bsure of (?:itself|himself|themselves)\b|\bdoubts?\b|\bdoubtful\b|\bknowledge gaps?\b|"
         r"\bblind spots?\b|\b(?:thin|missing|insufficient|weak|little|no) (?:evidence|information|"
         r"support)\b|\b(?:evidence|support|information) is (?:thin|missing|weak|lacking|insufficient|"
         r"absent)\b",
         negatable=False),
    Rule("antihallucination", 7,
         r"\blie(?:s|d)?\b(?! (?:in|on|at|down|under)\b)|\binvent(?:s|ing)?\b|\bmisle(?:ad|ads|ading|d)\b|"
         r"\b(?:false|incorrect|wrong|untrue|inaccurate) (?:facts?|claims?|statements?|information|info|"
         r"assertions?)\b|\bdisinformation\b|\bunreliab\w+\b|\breliab\w+\b|"
         r"\bpull\w* (?:things|facts|answers|it|stuff) out of (?:thin air|its)\b|\bout of thin air\b|"
         r"\b(?:reply|replies|replying|say|says|saying|answer|answers|answering|respond|responds|"
         r"output)\b[^.;]{0,6}'? ?(?:unknown|not in|not found|not stated|no information|cannot tell|"
         r"can'?t tell|unclear|nothing)\b",
         negatable=False),
)
# fmt: on
