"""Options that several commands share, as typer declares them."""

from __future__ import annotations

from typing import Annotated

import typer

from realign_client.endpoint import ENDPOINT_VARIABLE

Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar=ENDPOINT_VARIABLE,
        show_envvar=False,
        metavar="HOST:PORT|SOCKET",
        help="The daemon to talk to; else the one of this machine, else one found by Bonjour. Also REALIGN_ENDPOINT.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or the beginning of it.")]
Output = Annotated[str | None, typer.Option("--output", metavar="DIR", help="Folder for the files of the job.")]

Request = Annotated[str | None, typer.Argument(metavar="REQUEST", help="What you want, in your own words.")]
Spec = Annotated[
    str | None,
    typer.Option("--spec", metavar="FILE", help="The job as a TOML or JSON file; its keys are these options' names."),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="PATH",
        help="A .pdf, .epub, .html, .md, .txt, .jsonl or .parquet file, or a folder of them; share:NAME/PATH and "
        "node:NODE/NAME/PATH name a file that a node offers under [shares]. Repeatable.",
    ),
]
DataTypeName = Annotated[
    str | None,
    typer.Option("--type", metavar="TYPE", help="dpo, sft, rlvr or antihallucination; else read from the request."),
]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="For all roles: a hub id, a name with a size, a folder, or pocket."),
]
Target = Annotated[str | None, typer.Option("--target", metavar="NAME", help="The model that the data is for.")]
Generator = Annotated[str | None, typer.Option("--generator", metavar="NAME", help="The model that writes.")]
Judges = Annotated[
    list[str] | None, typer.Option("--judge", metavar="NAME", help="The model that grades. Repeatable: several agree.")
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="URL",
        help="A server of OpenAI's API that writes and judges for this job; the job's home must reach it.",
    ),
]
EngineModel = Annotated[
    str | None,
    typer.Option("--engine-model", metavar="NAME", help="The server's name for the model, if it has several."),
]
EngineTemplates = Annotated[
    str | None, typer.Option("--engine-templates", metavar="SET", help="The prompt templates for it; else standard.")
]
Bits = Annotated[int | None, typer.Option("--bits", help="Bits a weight to plan for; other weights are refused.")]
Count = Annotated[
    int | None,
    typer.Option(
        "--count", help="Rows for training; held-out ones come beside them. Else as many as the sources give."
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="The same seed gives the same rows.")]
Nodes = Annotated[list[str] | None, typer.Option("--nodes", metavar="A,B", help="Use only these nodes. Repeatable.")]
ExcludeNodes = Annotated[
    list[str] | None, typer.Option("--exclude-node", metavar="NAME", help="Do not use this node. Repeatable.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="STAGE", help="End after this stage.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A threshold or setting. Repeatable.")
]
EvalSets = Annotated[
    list[str] | None,
    typer.Option("--eval-set", metavar="FILE", help="What you will test on: no row may hold any of it. Repeatable."),
]
FromData = Annotated[
    str | None,
    typer.Option(
        "--from-data", metavar="FILE", help="Rows that you have, .jsonl or .parquet: begins at the stage that scores."
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Which column holds question, answer, … Repeatable."),
]
Append = Annotated[
    str | None, typer.Option("--append", metavar="JOB", help="Make no row that this job's data set has already.")
]
Thinking = Annotated[
    list[str] | None,
    typer.Option("--thinking", metavar="ROLE=HOW", help="off, strip or keep the reasoning of target or generator."),
]
