"""A Slurm of one's own on this machine: munged, slurmctld and one slurmd for each pretended node.

It needs root and Debian's packages, and neither systemd nor control groups nor a database. Everything it writes
lies in one temporary directory, its key and its ports are its own, and a Slurm that the machine already runs
is not touched. Every process of it, the jobs' included, carries SLURM_CONF of that directory in its environment,
which is how they are found and ended, whatever becomes of the program that started them.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")

CONFIGURATION = """\
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket
CredType=cred/munge
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool-%n
# One for each node: the PMIx plugin makes a directory there that is named after the job alone.
TmpFS={directory}/tmp-%n
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd-%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
MailProg=/bin/true
ReturnToService=2
KillWait=5
# A node that has not answered for so long is down, and its jobs are requeued.
SlurmdTimeout=12
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,batch_sched_delay=0
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
    "SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory={memory} State=UNKNOWN\n"
)
PARTITIONS = """\
PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE PriorityTier=1 State=UP
PartitionName=urgent Nodes={names} MaxTime=INFINITE PriorityTier=2 State=UP
"""


def missing_programs():
    """The programs of Slurm and munge that this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]


def search_path():
    """PATH with the directories of the daemons, which a shell need not have."""
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def slurm_version():
    """(year, month) of the installed slurmd."""
    text = subprocess.run(["slurmd", "-V"], env={"PATH": search_path()}, capture_output=True, text=True, check=True)
    return tuple(int(part) for part in text.stdout.split()[-1].split(".")[:2])


class PrivateSlurm:
    """A cluster; call start() and, whatever happens after it, stop().

    `directory` may be entered by every user, as jobs of all users run below it.
    """

    def __init__(self, nodes, cpus, memory):
        """Describe `nodes` pretended nodes, each of `cpus` cores and `memory` MiB, whatever the machine has."""
        self.names = [f"n{i + 1}" for i in range(nodes)]
        self.cpus, self.memory = cpus, memory
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="zoogram-slurm-"))
        self.directory.chmod(0o755)
        self.configuration = self.directory / "slurm.conf"
        temporary = str(self.directory / "tmp")
        self.environment = dict(
            os.environ,
            PATH=search_path(),
            SLURM_CONF=str(self.configuration),
            # Open MPI's session directories and shared memory, which a killed job would leave behind.
            TMPDIR=temporary,
            OMPI_MCA_btl_vader_backing_directory=temporary,
        )
        self._daemons = []
        self._slurmd = {}

    def start(self):
        """Return when all nodes accept jobs; RuntimeError with the daemons' logs where they do not."""
        self._start_guard()
        try:
            self._make_files()
            self._start_daemons()
            self._wait_until_idle()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """End every process of the cluster and remove its directory; returns when this is done."""
        self._guard.stdin.close()
        self._guard.stdout.read()
        self._guard.stdout.close()
        for daemon in self._daemons:
            daemon.wait()

    def call(self, *command, directory=None, settings=None):
        """Run a Slurm command and return what it printed; RuntimeError with its message where it fails.

        `settings` are environment variables beside the cluster's own; sbatch hands them on to the job.
        """
        environment = {**self.environment, **(settings or {})}
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
        return done.stdout

    def idle(self):
        """Whether all nodes are free, and nothing is left of a job that ran on them."""
        states = self.call("sinfo", "-h", "-N", "-p", "main", "-o", "%t").split()
        return states == ["idle"] * len(self.names)

    def lose_node(self, name):
        """What a power cut does: the node's slurmd and all that runs on it are gone at once."""
        slurmd = self._slurmd.pop(name)
        jobs = set(processes_with(b"SLURMD_NODENAME=" + name.encode())) & set(processes_of(self.directory))
        steps = {parent(process) for process in jobs} - {1, os.getpid()}
        for process in (slurmd.pid, *steps, *jobs):  # who could tell of their end goes first
            kill(process)
        slurmd.wait()

    def return_node(self, name):
        """Start the slurmd of a lost node; it returns to service by itself."""
        self._start_slurmd(name)

    def logs(self):
        """The last lines of each daemon's log, for a failure's message."""
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in self.directory.glob("*.log"))

    def _start_guard(self):
        """Start the process that cleans up when this one closes the pipe between them or dies."""
        # Its own session, and no child of ours: a test runner that ends a test ends the test's children too.
        self._guard = subprocess.Popen(
            ["setsid", "--fork", sys.executable, __file__, self.directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._guard.wait()

    def _make_files(self):
        host = socket.gethostname().split(".")[0]
        ports = free_ports(1 + len(self.names))
        text = CONFIGURATION.format(host=host, port=ports[0], directory=self.directory)
        for name, port in zip(self.names, ports[1:]):
            text += NODE.format(name=name, host=host, port=port, cpus=self.cpus, memory=self.memory)
            (self.directory / f"spool-{name}").mkdir()
            make_open_directory(self.directory / f"tmp-{name}")
        self.configuration.write_text(text + PARTITIONS.format(names=",".join(self.names)))
        # slurmd loads a cgroup plugin whether something uses it or not, and the one it detects may find no mount.
        plugin = "disabled" if slurm_version() >= (23, 11) else "cgroup/v1"
        (self.directory / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
        make_open_directory(self.directory / "tmp")
        (self.directory / "state").mkdir()
        key = self.directory / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))

    def _start_daemons(self):
        files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid"}
        files["seed-file"] = "munge.seed"
        options = (f"--{key}={self.directory / name}" for key, name in files.items())
        self._start("munged", "--foreground", *options)
        wait_for(lambda: (self.directory / "munge.socket").exists(), 10, "munged made no socket")
        self._start("slurmctld", "-D", "-c")
        for name in self.names:
            self._start_slurmd(name)

    def _start_slurmd(self, name):
        self._slurmd[name] = self._start("slurmd", "-D", "-N", name)

    def _start(self, *command):
        """Start a daemon in the foreground; what it prints before it opens its log goes to start.log."""
        with open(self.directory / "start.log", "ab") as log:
            daemon = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._daemons.append(daemon)
        return daemon

    def _wait_until_idle(self):
        def idle():
            if any(daemon.poll() is not None for daemon in self._daemons):
                raise TimeoutError("a daemon ended before the nodes became idle")
            try:
                return self.idle()
            except RuntimeError:  # the controller does not answer yet
                return False

        try:
            wait_for(idle, 30, "the nodes did not become idle")
        except TimeoutError as error:
            raise RuntimeError(f"{error}\n{self.logs()}") from None


def free_ports(count):
    """`count` different TCP ports that nobody listens on now."""
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def make_open_directory(path):
    """A directory like /tmp: every user's jobs make files there."""
    path.mkdir()
    path.chmod(0o1777)


def wait_for(condition, seconds, complaint, pause=0.1):
    """Return once condition() holds; TimeoutError with the complaint after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{complaint} within {seconds} s")
        time.sleep(pause)


def processes_of(directory):
    """The ids of all processes of the cluster in this directory."""
    return processes_with(b"SLURM_CONF=" + os.fsencode(pathlib.Path(directory) / "slurm.conf"))


def processes_with(mark):
    """The ids of all processes that have this in their environment."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def parent(process):
    """The process that has started it; 1 where that or it itself has ended."""
    try:
        status = pathlib.Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 1
    return int(status.split("PPid:")[1].split()[0])


def kill(process):
    """Kill it, unless it has ended meanwhile."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


def guard(directory):
    """Wait until standard input closes, then end the cluster's processes and remove its directory."""
    sys.stdin.read()
    while processes := processes_of(directory):
        for process in processes:
            kill(process)
        time.sleep(0.05)
    shutil.rmtree(directory)


if __name__ == "__main__":
    guard(sys.argv[1])
