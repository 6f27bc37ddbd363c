"""One interpreter for many short programs that must not share a process: it imports once and forks for each."""

import json
import subprocess
import sys
from subprocess import CompletedProcess

SERVER = """
import json, os, sys
for line in sys.stdin:
    code, folder, out, err = json.loads(line)
    child = os.fork()
    if not child:
        for number, path in ((0, os.devnull), (1, out), (2, err)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
        os.chdir(folder)
        status = 1
        try:
            exec(compile(code, "<child>", "exec"), globals() | {"__name__": "__main__"})
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            import traceback
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Interpreter:
    """Runs programs as `python -c` would, each in a child of a process that has run `first` (imports, mostly)."""

    def __init__(self, first: str, folder, environment: dict):
        self.folder, self.count = folder, 0
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", first + SERVER], env=environment, cwd=folder, **pipes)

    def run(self, code: str) -> CompletedProcess:
        self.count += 1
        out, err = (self.folder / f"{self.count}.{kind}" for kind in ("out", "err"))
        self.process.stdin.write(json.dumps([code, str(self.folder), str(out), str(err)]) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return CompletedProcess(code, status, out.read_text(), err.read_text())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)
