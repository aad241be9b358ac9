"""The intent rules: phrases that tell which data a request is about, with weights. Data only; `intent` reads it.

Patterns see lower-case text with blanks for hyphens and underscores, " / " for slashes, and without model names and paths. Where
two matches overlap, the heavier and then the longer one counts. Weights are own choices, in five steps:

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


_ANSWERS: Final = r"(?:answers?|responses?|repl(?:y|ies)|completions?|outputs?|versions?|generations?|ones?|texts?|summar(?:y|ies)|examples?|options?|candidates?)"
_DATA: Final = r"(?:data(?: ?sets?)?|pairs?|examples?|records?|rows?|samples?|sets?|corpus|collection|triples?|triplets?)"
_METHOD: Final = r"(?:dpo|sft|srf|rlvr|supervised|preference|instruction|verif\w+|calibrat\w+|anti ?hallucination)"
_MAKING_UP: Final = r"(?:facts?|things?|stuff|answers?|sources?|citations?|references?|quotes?|details?|numbers?|information|nonsense|claims?|names?|studies|papers?|figures?|events?|dates?|cases?)"

RULES: Final = (
    # --- phrases that only look like evidence ---
    Rule(None, 12, rf"\b(?:i|we)(?:'d| would)? prefer (?=(?:to (?:use|do|have|get|make) |an? |the |some |plain )?{_METHOD})"),
    Rule(None, 12, r"\bpreferably\b|\bif you prefer\b|\bpreferred (?:format|language|output|model)\b|\buser preferences file\b"),
    Rule(None, 12, r"\bproof of concept\b|\bproof ?read\w*\b|\bcode of conduct\b|\b(?:zip|post|postal|dress|source|building|bar|qr|tax) codes?\b|\bcode ?books?\b"),
    Rule(None, 12, r"\bfor (?:that|this|the same|any|no) reason\b|\bwithin reason\b|\breason(?:s)? (?:why|for|that)\b"),
    Rule(None, 12, r"\bconfidential\w*\b|\bi'?m (?:confident|honest)\b|\bto be honest\b|\bhonestly\b"),
    Rule(None, 12, r"\b(?:have|has|got|existing|previous|finished|current|our|my|from) (?:an? |the |our |my )?(?:sft|srf|supervised|fine ?tuned) (?:baseline|checkpoint|model|stage|phase|policy|run)\b|\b(?:after|following|on top of|beyond|since|post|pre) (?:an? |the |our )?(?:sft|supervised fine ?tun\w+)\b"),
    # --- DPO: a better and a worse answer ---
    Rule("dpo", 10, r"\bdpo\b|\bd\.p\.o\.?|\bdirect preference(?: optimi[sz]\w+)?\b"),
    Rule("dpo", 10, r"\b(?:sft|supervised(?: fine ?tun\w+)?)\b[^.;]{0,30}\b(?:then|followed by|before|and after that)\b[^.;]{0,15}\b(?:dpo|preference\w*)\b"),
    Rule("dpo", 9, r"\b(?:ipo|kto|orpo|simpo|cpo|rpo|rlaif)\b|\bpreference (?:optimi[sz]\w+|tun\w+|align\w+|learning|model\w*|train\w+)\b"),
    Rule("dpo", 9, rf"\b(?:human |ai |user |pairwise |synthetic )?preferences?\b(?: (?:ranking|comparison|alignment|feedback|judg\w+))? ?{_DATA}\b"),
    Rule("dpo", 8, rf"\b(?:chosen|accepted|preferred|winning|winners?|good|positive|better|best|liked|favou?red|strong)\b(?: {_ANSWERS})? ?(?:/|and|or|vs\.?|versus|over|against|with|plus|than|to|&|,)(?: (?:an?|the|its|their|one))*(?: corresponding| matching)? ?(?:rejected|dispreferred|unpreferred|losing|losers?|bad|negative|worse|worst|disliked|inferior|weak(?:er)?|poor(?:er)?)\b"),
    Rule("dpo", 8, rf"\b(?:rejected|worse|worst|bad|losing)\b(?: {_ANSWERS})? ?(?:/|and|or|vs\.?|versus|&)(?: (?:an?|the))? ?(?:chosen|better|best|good|winning|preferred)\b"),
    Rule("dpo", 8, r"\bone (?:good|better|strong|chosen|preferred)\b[^.;]{0,30}\bone (?:bad|worse|weak|weaker|rejected|poor)\b"),
    Rule("dpo", 8, rf"\b(?:better|best|preferred|stronger) {_ANSWERS} (?:from|among|of) (?:the )?(?:worse|two|several|each|pair)|\b(?:which|what)\b[^.;]{{0,25}}\b(?:is|are|was|people|users|humans|raters|annotators|they|would be)\b[^.;]{{0,12}}\b(?:better|preferred|best|prefer|like (?:more|better)|nicer|more helpful)\b"),
    Rule("dpo", 8, rf"\bchosen\b(?: {_ANSWERS})?|\brejected\b(?: {_ANSWERS})?|\bdispreferred\b"),
    Rule("dpo", 8, rf"\bpair ?wise\b|\bside by side\b|\bhead to head\b|\ba / b\b(?: test\w*| compar\w*| {_DATA})?|\ba versus b\b|\b(?:win|winner) ?/ ?los\w+\b"),
    Rule("dpo", 8, r"\breinforcement learning (?:from|with|by) (?:human|ai|user) feedback\b|\bhuman feedback\b|\brlhf\b|\breward model\w*\b"),
    Rule("dpo", 7, rf"\brank(?:s|ed|ing|ings)?\b(?: (?:the|all|its|several|multiple|different|candidate|model|sampled|two|three|four|\d+|by quality|of|each|alternative|pairs? of))* {_ANSWERS}\b|\b{_ANSWERS} rank(?:ed|ing|ings)\b|\branked (?:lists?|pairs?|data|by)\b"),
    Rule("dpo", 7, rf"\bcompar(?:e|es|ed|ing|isons?|ative)\b(?: (?:of|between|the|two|pairs? of|alternative|different|model|data|candidate|multiple|several))* (?:{_ANSWERS}|{_DATA})\b|\b(?:two|alternative|competing|paired|multiple|contrasting|contrastive) (?:\w+ )?(?:answers|responses|replies|completions|candidates|outputs|pairs)\b"),
    Rule("dpo", 6, r"\bpref(?:s|erences?|er|ers|erred|erring|erential)?\b|\bpreferance\w*\b"),
    Rule("dpo", 6, r"\bfavou?r(?:s|ed|ing)?\b[^.;]{1,40}\b(?:over|to|rather than)\b|\b(?:like|choose|pick|select)s?\b[^.;]{1,40}\b(?:over|more than|rather than) (?=\w)"),
    Rule("dpo", 6, rf"\b(?:choose|pick|select|tell|distinguish|discriminate|separate|recogni[sz]e|know)\b[^.;]{{0,30}}\b(?:better|best|good|winning|stronger)\b(?! at\b)(?: {_ANSWERS})?|\b(?:best|better) of (?:n|two|four|several)\b"),
    Rule("dpo", 5, r"\bthumbs ?(?:up|down)\b|\bup ?votes?\b|\bdown ?votes?\b|\bhh rlhf\b|\bultra ?feedback\b|\bhelpful(?:ness)? and harmless(?:ness)?\b|\bbradley terry\b|\b(?:annotator|rater|user|human) (?:choices?|judg\w+|votes?|ratings?)\b"),
    Rule("dpo", 4, r"\balign(?:ed|ing|ment)?\b(?: (?:it|the model|him|our \w+))? (?:with|to) (?:human|our|user|people|company|brand|editorial)\b|\bwhat (?:people|users|humans|customers|readers|our \w+) (?:like|want|prefer|favou?r)\b"),
    Rule("dpo", 3, r"\balign(?:ed|ing|ment)\b|\bless (?:verbose|toxic|rude|wordy|preachy|sycophantic)\b|\bmore (?:helpful|polite|likeable|harmless)\b|\btaste\b|\bbetter sounding\b|\bsycophan\w+\b"),
    Rule("dpo", 7, rf"\bpreferable\b|\bcontrast(?:s|ed|ing|ive)?\b(?= \w+)|\b(?:superior|inferior) {_ANSWERS}\b|\b(?:better|best|stronger)\b[^.;]{{0,60}}\b(?:worse|worst|weaker|poorer|inferior)\b|\b(?:correct|right|strong|clean|polished) (?:{_ANSWERS} )?(?:and|vs\.?|versus|over|against) (?:an? )?(?:incorrect|wrong|flawed|sloppy|weak|mediocre)(?: {_ANSWERS})?\b"),
    Rule("dpo", 7, rf"\bpairs? of (?:\w+ )?{_ANSWERS}\b|\b(?:order|sort|rate|grade|score)\w*\b[^.;]{{0,30}}\bby (?:quality|preference|helpfulness|how good)\b|\b(?:which|what) of (?:the )?(?:two|three|several|many)\b|\branking(?:s)?\b|\belo\b|\bwin rates?\b"),
    Rule("dpo", 6, r"\b(?:like|likes|love|enjoy)\b(?: the)?(?: \w+){1,3} (?:one|ones|version|answer|reply)? ?(?:more|better)(?: than)?\b|\bone (?:answer|reply|response|completion|version)\b[^.;]{0,30}\b(?:the other|another)\b|\btoo (?:wordy|verbose|blunt|rude|long winded|chatty|stiff|robotic|cold)\b|\b(?:several|multiple|many|two|three|four|n|k|\d+) (?:alternative )?(?:completions|answers|responses|replies|candidates|generations|drafts)\b(?: per| for (?:each|every))?"),
    # --- SFT: good answers to imitate ---
    Rule("sft", 10, r"\bsft\b|\bsrf\b|\bs\.f\.t\.?|\bsupervised (?:fine ?tun\w+|train\w+|learning|data\w*|tun\w+)\b"),
    Rule("sft", 7, r"\bsupervised\b"),
    Rule("sft", 8, rf"\binstruct(?:ion|ions|ional)?\b ?(?:/ ?(?:response|answer|output) ?)?(?:follow\w*|tun\w+|{_DATA}|fine ?tun\w+|response|answer|format|prompts?)\b|\bfollow(?:s|ing)?\b(?: \w+){{0,2}} (?:instructions?|commands?|directions)\b"),
    Rule("sft", 8, rf"\b(?:prompts?|instructions?|inputs?|questions?) ?(?:/|and|,|&|to) ?(?:their |its |matching |correct |good )?(?:completions?|responses?|outputs?|repl(?:y|ies))\b|\b(?:prompt|question|input|query) (?:completion|response|answer|output|reply)s?\b(?: {_DATA})?"),
    Rule("sft", 7, rf"\bq ?(?:&|and|/|\+|n) ?a'?s?\b(?: {_DATA})?|\bqa (?:{_DATA})\b|\bquestions? ?(?:/|and|&|,) ?answers?\b(?: {_DATA})?|\bfaqs?\b"),
    Rule("sft", 7, r"\bdemonstrations?\b|\bimitat\w+\b|\bmimic\w*\b|\bbehaviou?r(?:al)? cloning\b|\b(?:alpaca|share ?gpt|dolly|ultra ?chat|open ?orca|tulu|self instruct|open ?assistant|oasst)\b"),
    Rule("sft", 7, r"\b(?:chat|conversation(?:al)?|dialog(?:ue)?s?|multi ?turn) ?(?:data\w*|examples?|logs?|transcripts?|turns?|format|samples?|corpus|train\w+|tun\w+|records?|pairs?|sets?)\b"),
    Rule("sft", 6, r"\b(?:conversations?|dialog(?:ue)?s?|chats?|multi ?turn|chat ?bots?)\b|\bmessages format\b"),
    Rule("sft", 6, r"\bsummar(?:y|ies|i[sz]\w+)\b|\btranslat\w+\b|\bparaphras\w+\b|\brewrit\w+\b|\bclassif\w+\b|\bextract(?:ion)? (?:entities|fields|information|structured)\b|\bnamed entit\w+\b"),
    Rule("sft", 6, rf"\b(?:good|ideal|gold|golden|model(?= answers)|expert|high quality|exemplary|reference|curated|example|sample|hand ?written|polished|well written) (?:{_ANSWERS})\b(?! (?:over|vs|versus|and (?:bad|worse|poor|rejected|weak)))"),
    Rule("sft", 5, r"\b(?:in|adopt|copy|learn|match|keep|use|capture|teach)\b[^.;,]{0,25}\b(?:style|tone|voice|persona|format|manner|jargon|terminology|vocabulary)\b|\b(?:write|writes|sound|sounds|speak|talk|respond|reply|answer)s? (?:more )?like\b|\brole ?play\w*\b|\bpersonas?\b"),
    Rule("sft", 5, r"\b(?:answer\w*|respond\w*|repl(?:y|ies|ying))\b(?: \w+){0,3} (?:questions?|quer(?:y|ies)|emails?|tickets?|customers?|users?|requests?)\b|\bcustomer (?:support|service)\b|\bhelp ?desk\b|\bsupport (?:agent|tickets?|bot)\b"),
    Rule("sft", 5, r"\b(?:teach|learn|learns|know|knows|memori[sz]e|absorb|ingest|understand|familiar with)\b[^.;,]{0,25}\b(?:handbook|manual|books?|documents?|documentation|docs|wiki|chapters?|textbook|material|contents?|everything|facts|basics|procedures|rules|polic(?:y|ies)|domain|subject|knowledge|corpus|product)\b|\bdomain (?:adapt\w+|knowledge|expert\w*|specific)\b|\bknowledge injection\b"),
    Rule("sft", 4, r"\bfine ?tun(?:e|es|ed|ing|er)\b|\bfinetun\w*\b|\bfine toon\w*\b"),
    Rule("sft", 4, r"\binstruct(?:ion|ions)?\b|\bdistill?(?:ation|ing|ed)?\b|\bassistant\b|\btutor\w*\b|\bfunction calling\b|\btool (?:use|calls?|calling)\b|\bstructured output\b|\b(?:valid )?json output\b|\bwrit(?:e|ing) (?:emails?|letters?|poems?|stories|reports?|articles?)\b"),
    Rule("sft", 3, r"\blora\b|\badapters?\b|\bcurriculum\b|\bskills?\b|\bexplanations?\b|\bexplain\w*\b|\bexample answers\b|\btraining (?:examples|text)\b|\bproduct knowledge\b|\bstories\b|\bpoems?\b|\bemails?\b"),
    Rule("sft", 5, r"\bexchanges\b|\bflash ?cards?\b|\bknowledge base\b|\bexperts? (?:in|on|at|about)\b|\bspecialis[tz]\w*\b|\bspeciali[sz]e\w*\b|\bcustomi[sz]\w*\b|\badapt\w*\b(?: \w+){0,4} (?:to|for) (?:our|my|the|this)\b|\bcopywrit\w+\b|\bghost ?writ\w+\b|\blessons?\b"),
    Rule("sft", 3, r"\b(?:train|teach|learn|tune)\w*\b(?: \w+){0,4} (?:on|from|using|with|about) (?:my|our|this|these|those|the)\b|\bknows? about\b|\btalk about\b"),
    # --- RLVR: answers that a program can check ---
    Rule("rlvr", 10, r"\brlvr\b|\br\.l\.v\.r\.?|\b(?:reinforcement learning|rl) (?:with|from|using|on|via|by) (?:verif\w+|checkable|programmatic|automatic)\b(?: rewards?)?|\bverif\w+ rewards?\b|\brewards? verif\w+\b"),
    Rule("rlvr", 9, r"\bgrpo\b|\brejection sampl\w+\b|\b(?:r1|o1) (?:style|like)\b|\bself (?:taught|play) reasoner\b|\bstar bootstrapp\w+\b"),
    Rule("rlvr", 8, r"\b(?:verified|verifiable|checkable|checked|correct) (?:reasoning|math\w*|solutions?|proofs?|code|traces?|problems?|chains?|steps?|derivations?)\b|\breasoning (?:traces?|chains?|steps?|problems?|data\w*|paths?|tasks?|model)\b"),
    Rule("rlvr", 7, r"\bverif(?:y|ies|ied|iable|iably|ication|ications|ier|iers|iability|ying)\b|\bveri?fiable\b"),
    Rule("rlvr", 7, r"\b(?:auto(?:matically|matic)?|programmatic(?:ally)?|machine|computer|mechanically|objectively|deterministically) ?(?:check\w*|grad\w+|scor\w+|test\w*|verif\w+|judg\w+|confirm\w*|validat\w+)\b|\bcheck(?:ed|able)?\b[^.;,]{0,15}\b(?:automatically|programmatically|by (?:a )?(?:program|machine|script|computer|code)|mechanically|objectively|exactly)\b|\b(?:answers?|solutions?|results?|output)\b[^.;,]{0,15}\b(?:can|could|may) be (?:check\w*|test\w*|comput\w*|confirm\w*|validat\w*|proven|verif\w+)\b"),
    Rule("rlvr", 7, r"\b(?:gsm ?8 ?k\w*|aime\w*|amc ?\d+|math ?500|humaneval|mbpp|live ?code ?bench|code ?contests|codeforces|leet ?code|big math|numina\w*|deep ?scaler|arc agi|svamp|mathqa|olympiad\w*|hendrycks|minif2f|putnam|kattis|project euler|swe bench|gpqa)\b"),
    Rule("rlvr", 7, r"\bunit tests?\b|\btest (?:cases?|suites?)\b|\bpass(?:es|ing)? (?:the |all |its |their |hidden )?tests?\b|\bpass ?@ ?\w+\b|\b(?:compil|execut)(?:e|es|ed|able|ing)\b"),
    Rule("rlvr", 6, r"\breason(?:ing|er|ers)?\b(?! (?:why|for|that)\b)|\bchains? of thoughts?\b|\bcot\b|\bstep by step\b|\bthink(?:ing)? (?:traces?|step\w*|harder|longer|before|through)\b|\bmulti ?step\b|\bdeduc\w+\b|\blogical(?:ly)?\b"),
    Rule("rlvr", 5, r"\b(?:ground ?truth|known|single|unique|definite|exact|numeric(?:al)?|final|closed form|objective|right or wrong|correct) (?:final )?(?:answers?|solutions?|results?|numbers?)\b|\banswer keys?\b|\bright or wrong\b|\brewards? (?:for|when|if|on|only) \w*"),
    Rule("rlvr", 5, r"\bmath(?:s|ematic\w*)?\b|\barithmetic\w*\b|\balgebra\w*\b|\bgeometr\w+\b|\bcalculus\b|\btrigonometr\w+\b|\bequations?\b|\bintegrals?\b|\bderivatives?\b|\bnumber theory\b|\bcombinatori\w+\b|\bprobability (?:problems?|questions?|exercises?)\b|\bstatistics (?:problems?|exercises?)\b|\bword problems?\b|\btheorems?\b|\blemmas?\b|\bproofs?\b|\bprov(?:e|ing) (?:theorems?|that|it|things)\b|\blean ?4?\b(?= proof| theorem|\b)"),
    Rule("rlvr", 5, r"\bcod(?:e|er|ing)\b|\bprogram(?:s|ming|mer)?\b|\balgorithm\w*\b|\bpython\b|\bjavascript\b|\brust\b|\bc\+\+|\bjava\b|\bsql\b|\bsoftware engineering\b|\bdebug\w*\b|\bbug fix\w*\b|\bfix(?:ing)? bugs\b"),
    Rule("rlvr", 5, r"\b(?:logic|number|sudoku|crossword|brain ?teaser|chess|riddle)\w*(?: \w+)? ?(?:puzzles?|problems?|tasks?|games?)\b|\bpuzzles?\b|\bsudokus?\b|\bbrain ?teasers?\b|\blogic\b"),
    Rule("rlvr", 4, r"\b(?:physics|chemistry|engineering|stem|science|quantitative|competition|contest|exam|textbook|homework|finance|accounting|unit conversion) (?:problems?|exercises?|calculations?)\b|\bproblem solving\b|\bsolv(?:e|es|ed|ing|er|ers)\b|\b(?:problems?|exercises?) (?:with|and) (?:\w+ )?(?:solutions?|answers?)\b|\bcalculat(?:e|es|ions?|ing|or)\b|\bcount(?:ing)? (?:correctly|better|letters)\b"),
    Rule("rlvr", 4, r"\b(?:rl|reinforcement learning|reinforce\w*)\b|\brewards?\b|\bpass rates?\b"),
    Rule("rlvr", 6, r"\b(?:scored?|graded?|checked|judged|rewarded|tested|marked) (?:by|with|through) (?:an? |the )?(?:script|program|function|rule|rules|code|interpreter|compiler|solver|tests?|checker|regex|calculator|computer)\b|\bexpected (?:output|answer|result|value)s?\b|\bcorrectness\b|\b(?:outcome|process|binary|exact match|rule based) rewards?\b|\bexact match\b|\bsolvers?\b|\b(?:sym|z3|wolfram)py?\b|\bscript (?:can|could|that|which) \w+\b|\bshow(?:s|ing)? (?:its|the|their) work(?:ing)?\b|\bworked (?:examples|solutions)\b|\bderivations?\b"),
    Rule("rlvr", 4, r"\b(?:long )?(?:division|multiplication|addition|subtraction)s?\b|\bfractions?\b|\bpercentages?\b|\bdecimals?\b|\bsums\b|\bnumeracy\b|\bnumerical\b|\briddles?\b|\bstem\b|\bcontests?\b|\bregex\w*\b|\bmultiple choice\b|\bquantitative\b|\bchecker\b|\bcompilers?\b|\bfunctions? that\b|\bstatistics\b|\blinear algebra\b|\bphysics\b|\bmatrix|matrices\b"),
    # --- anti-hallucination: knowing what it does not know ---
    Rule("antihallucination", 10, r"\banti ?hall?ucinat\w*\b|\bcalibration (?:data\w*|training|set|examples?|workflow)\b|\bnon hallucinat\w+\b"),
    Rule("antihallucination", 9, r"\bhall?ucinat\w+ (?:data\w*|examples?|workflow|train\w+|pairs?)\b|\brefusals? (?:data\w*|training|examples?|workflow)\b|\babst(?:ain|ention) (?:data\w*|training|examples?|workflow)\b"),
    Rule("antihallucination", 8, r"\bhall?ucinat\w*\b|\bhal+uc[a-z]*\b|\bconfabulat\w*\b", negatable=False),
    Rule("antihallucination", 8, rf"\b(?:mak(?:e|es|ing)|made|invent(?:s|ed|ing)?|fabricat\w*|concoct\w*|dream(?:s|ing)? up|conjur\w+|fak(?:e|es|ing))(?: up)?(?: \w+){{0,2}} {_MAKING_UP}(?: up\b)|\b(?:mak(?:e|es|ing)|made) (?:it |them |everything |anything |something )?(?:all )?up\b|\b(?:invent|fabricat|concoct)\w*(?: \w+){{0,2}} {_MAKING_UP}\b|\bfabricat\w+\b|\b(?:fake|made up|nonexistent|non existent|bogus|imaginary|invented|false) {_MAKING_UP}\b|\binvents?\b|\bbullshit\w*\b|\bbluff\w*\b|\blie(?:s)? to\b|\blying\b", negatable=False),
    Rule("antihallucination", 8, r"\b(?:do|does|did|is|are|was)(?:n'?t| not) (?:really |actually |quite )?(?:know|sure|certain|confident)\b|\bdon'?t knows?\b|\bidk\b|\bunknowns?\b|\bno idea\b|\bnot (?:know|sure|certain)\b|\bunsure\b|\bi do not know\b|\black(?:s|ing)? (?:the )?(?:knowledge|evidence|information)\b|\bcan(?:'?t|not| not) (?:be )?(?:answer\w*|know\w*)\b|\bunanswerable\b|\bwithout (?:an |any )?answers?\b", negatable=False),
    Rule("antihallucination", 8, r"\bcalibrat\w+\b|\bmis ?calibrat\w+\b|\babst(?:ain|ains|aining|ained|ention|entions)\b|\brefus(?:e|es|al|als|ing|ed)\b|\bself knowledge\b|\bknowledge bound\w+\b|\br tuning\b|\bover ?refus\w+\b|\bdeclin(?:e|es|ing)\b"),
    Rule("antihallucination", 8, r"\bover ?confiden\w*\b|\b(?:too|overly|falsely|wrongly|blindly) (?:confident|sure|certain)\w*\b|\bconfident(?:ly)? (?:wrong|false|incorrect|mistaken|nonsense|lie\w*)\b|\bwrong(?:ly)?\b[^.;]{0,15}\bconfiden\w+\b|\bconfiden\w+\b[^.;]{0,25}\b(?:wrong|mistaken|false|incorrect|nonsense)\b|\bsounds? (?:sure|confident|certain)\b", negatable=False),
    Rule("antihallucination", 7, r"\bknow(?:s|ing)? (?:what|when|where) (?:it|he|they|the model|one) (?:does(?:n'?t| not)|do(?:n'?t| not)|is(?:n'?t| not)) ?\w*\b|\bknow(?:s|ing)? (?:its|their|the) (?:own )?(?:limits?|limitations?|bounds?|boundaries)\b|\b(?:its|their) (?:own )?(?:limits?|limitations|ignorance)\b|\b(?:only|just) (?:answers?|speaks?|responds?|says?|claims?|states?)\b[^.;]{0,40}\b(?:knows?|sure|supported|certain|evidence|in the (?:text|source|document))\b"),
    Rule("antihallucination", 7, r"\b(?:un)?certaint(?:y|ies)\b|\buncertain\b|\bconfidence\b|\bconfident(?:ly)?\b|\bexpected calibration error\b|\bece\b|\bbrier\b|\bauroc\b|\bsimple ?qa\b|\btruthful ?qa\b|\bhalu ?eval\b"),
    Rule("antihallucination", 7, r"\badmit(?:s|ting|ted)?\b|\backnowledg\w+\b|\bown up to\b|\bsay(?:s|ing)? so\b|\bsay(?:s|ing)? no\b|\bfalse premis\w+\b|\btrick questions?\b|\bhedg(?:e|es|ing)\b", negatable=False),
    Rule("antihallucination", 5, r"\bfactual(?:ity|ly)?\b|\btruthful\w*\b|\bhonest(?:y)?\b|\bmisinformation\b|\buntrue\b|\bfalsehoods?\b|\bgrounded(?:ness)?\b|\bfaithful(?:ness|ly)?\b|\bunfounded\b|\bunsupported\b|\bstick(?:s|ing)? to (?:the )?(?:facts?|sources?|text|truth|what)\b|\btrustworth\w+\b|\b(?:wild |random )?guess(?:es|ing|work)?\b|\bgets? facts wrong\b|\bfacts? wrong\b|\bfactual errors?\b"),
    Rule("antihallucination", 7, r"\b(?:not|never|isn'?t|nowhere) (?:be )?(?:in|covered|mentioned|stated|supported|contained|found|answered|backed|documented|given)\b(?: (?:by|in))? (?:the |its |our |any )?(?:document|text|source|material|context|book|manual|handbook|evidence|policy|contract|data|file)\w*\b|\b(?:does|do|did)(?:n'?t| not) (?:mention|say|cover|contain|support|state|include|have)\b|\bsilent (?:on|about)\b|\b(?:out of|outside(?: of)?|beyond) (?:the |its |their |our )?(?:scope|document|source|text|knowledge|training|material|manual|book|domain)s?\b", negatable=False),
    Rule("antihallucination", 7, r"\b(?:keep|stop|prevent|hold|restrain|refrain)\w*\b(?: (?:it|him|the (?:model|bot|assistant)|them))?(?: back)? from (?:answering|responding|replying|speaking|claiming|asserting|guessing)\b|\bhold(?:s|ing)? back\b|\b(?:should|must|can|may|will|to) not answer\b|\b(?:stay|keep|remain)(?:s|ing)? (?:quiet|silent)\b|\bsays? nothing\b|\bknow(?:s|ing)? when (?:to|not to)\b|\bpass on (?:questions|what)\b|\bno answer(?:s)?(?: found)?\b|\bhas no (?:answer|basis)\b", negatable=False),
    Rule("antihallucination", 7, r"\bpretend\w*\b|\bspeculat\w+\b|\bignoran(?:t|ce)\b|\bconfess\w*\b|\bhumility\b|\bhumble\b|\bcock(?:y|iness|sure)\b|\barrogan(?:t|ce)\b|\bknow it all\b|\b(?:so|less|more|too|very) (?:sure|certain|cautious|careful)\b|\bsure of (?:itself|himself|themselves)\b|\bdoubts?\b|\bdoubtful\b|\bknowledge gaps?\b|\bblind spots?\b|\b(?:thin|missing|insufficient|weak|little|no) (?:evidence|information|support)\b|\b(?:evidence|support|information) is (?:thin|missing|weak|lacking|insufficient|absent)\b", negatable=False),
    Rule("antihallucination", 7, r"\blie(?:s|d)?\b(?! (?:in|on|at|down|under)\b)|\binvent(?:s|ing)?\b|\bmisle(?:ad|ads|ading|d)\b|\b(?:false|incorrect|wrong|untrue|inaccurate) (?:facts?|claims?|statements?|information|info|assertions?)\b|\bdisinformation\b|\bunreliab\w+\b|\breliab\w+\b|\bpull\w* (?:things|facts|answers|it|stuff) out of (?:thin air|its)\b|\bout of thin air\b|\b(?:reply|replies|replying|say|says|saying|answer|answers|answering|respond|responds|output)\b[^.;]{0,6}'? ?(?:unknown|not in|not found|not stated|no information|cannot tell|can'?t tell|unclear|nothing)\b", negatable=False),
)  # fmt: skip

# Negation: "no X", "instead of X" rule out a match that follows at once; a negated wish rules out all up to the clause's end.
FILLER: Final = r"(?:a|an|any|the|all|more|further|need|needs|needed|for|of|to|use|using|doing|do|make|making|building|running|training|generating|creating|kinds?|sort|form|usual|standard|regular|classic|plain|simple|with|by|about|as|into|via|me|this|that|your|our|old|it|be|being|want|another|stuff|in|on)"
DIRECT_NEGATION: Final = (
    r"\b(?:no|not(?! (?:only|just|merely|limited|sure|enough|certain))|without|never|neither|nor|avoid|skip|forget(?: about)?|drop|ignore|exclude|omit|"
    r"instead of|rather than|other than|anything but|except(?: for)?|apart from|minus|sans|non|isn'?t|aren'?t)\b"
)
WISH_NEGATION: Final = (
    r"\b(?:do not|don'?t|did not|didn'?t|never|no need to|would not|wouldn'?t|won'?t|should not|shouldn'?t|must not|mustn'?t|not going to|not here to|not (?:interested in|looking for|asking for|after))"
    r"(?: (?:really|actually|even|ever|please))*"
    r"(?<!not interested in)(?<!not looking for)(?<!not asking for)(?<!not after) (?:want|need|use|do|make|create|generate|build|give|produce|run|go|bother|care|include|like|require|involve|mix|add|be|start|try|treat|turn|curate|prepare|collect|set up)\b"
    r"|\bnot (?:interested in|looking for|asking for|after)\b"
)
CLAUSE_END: Final = r"[,.;:!?()\n]|\b(?:but|instead(?! of)|rather(?! than)|however|just|only|simply|i want|i need|i'd like|we want|we need|what i|give me|go for|go with|switch to|please|because|since|so that)\b"
LIST_JOINT: Final = rf"^(?: {_DATA})?(?: \w+)? ?(?:or|nor|and|/)(?: (?:any|a|an|the|no))* ?$"
AFTER_NEGATION: Final = (
    r"^(?: \w+){0,2} (?:is|are|was|were|would be|will be)(?:n'?t| not) (?:what|want\w*|need\w*|requir\w*|suit\w*|an? option|right|useful|possible|for (?:me|us)|it\b|of interest|allowed)"
    r"|^(?: \w+){0,2} (?:is|are) (?:out|off|excluded|unwanted|forbidden|ruled out)\b|^(?: \w+){0,1} (?:won'?t|will not|can'?t|cannot) (?:do|work|help|be used)\b|^ ?\? no\b"
)
# Words by which the user says that the choice is open.
UNDECIDED: Final = (
    r"\b(?:i'?m|i am|we'?re|we are) (?:not sure|unsure|undecided|not certain)\b|\b(?:i|we) (?:don'?t|do not) know (?:whether|if|which|what (?:kind|type|sort|data|format))\b"
    r"|\bwhich(?:ever)? (?:type|kind|method|workflow|one) (?:is|fits|works|would|should|do you)\b|\byou (?:decide|choose|pick)\b|\bwhatever (?:works|fits|is best|you)\b|\bor (?:maybe|perhaps|something)\b"
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
    "rejecting rejection rejections rejects preferable preferably instructor instructors instructive reason reasons reasoned "
    "reasonable programmer programmers supervisor supervision supervise verify verifies verifying certain certainty "
    "uncertainly conversation dialogue dialogues refuse refused prefer prefers mathematic mathematical verifiably verifiers "
    "fabricated fabrication fabrications calibrating demonstrate demonstrated demonstrates referred preferring tuning".split()
)
