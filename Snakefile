# Which notebook needs which artefact. `make reproduce` calls this through `python -m lib.running.runner run`; it also runs by
# itself: snakemake --cores 2 --rerun-triggers mtime [--config profile=smoke] [--executor slurm ...]
#
# A key (build/<profile>/keys) holds everything that a result depends on. A marker (build/<profile>/done) is written last,
# when all results are in place, and removed before a run where the key or a result has changed since: so a marker that is
# missing, or older than one before it, says what is stale.

import os

from lib.running import runner

plan = runner.plan(config.get("profile", "embedded"), config.get("given", []), label=config.get("label", ""))
runner.write_keys(plan)
os.environ.update(runner.child_environment(plan))


workdir: str(plan.folder)


wildcard_constraints:
    number="[0-9][0-9]",
    job="[a-z_]+",


rule all:
    input:
        [f"done/{job.number}.json" for job in plan.notebooks.values()],


# one process a notebook: papermill executes it, its figures and claims are checked and put into place
rule notebook:
    input:
        "keys/{number}.key",
        lambda wildcards: plan.needs[wildcards.number],
    output:
        "done/{number}.json",
    params:
        command=lambda wildcards: runner.command(plan, "execute", wildcards.number),
    shell:
        "{params.command}"


# what several notebooks need, computed once: python -m lib.<job>; first of all, so that no long one is left for the end
rule job:
    input:
        "keys/{job}.key",
    output:
        "done/{job}.json",
    priority: 1
    params:
        command=lambda wildcards: runner.command(plan, "job", wildcards.job),
    shell:
        "{params.command}"
