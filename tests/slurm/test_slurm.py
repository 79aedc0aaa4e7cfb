"""The batch scripts of jobs/, submitted with sbatch to a Slurm that this test starts.

    test_slurm.py ZOOGRAM SOURCE_DIRECTORY [unittest's arguments]

Every job runs in a copy of jobs/ of its own, on one and on two pretended nodes, as root and as an ordinary user;
its exit code, its log and its results file are checked. Leaves with 77, which ctest takes for skipped, when the
caller is not root: slurmd has to start jobs for other users.
"""

import os
import pathlib
import pwd
import shutil
import sys
import tempfile
import unittest

import h5py
import numpy as np

from private_slurm import PrivateSlurm, missing_programs, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import oracle
from oracle import Measure
from zoogram import write_zoo

SKIPPED = 77
BAD_JOB_FILE = 78
ORDINARY_USER = "nobody"
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}
# Bounds of oracle.deviation: numbers of single precision against the definition,
SINGLE = 2e-5
# and the same job on other nodes or as another user.
SAME = 1e-6
# Layers that the oracle looks at; it is slow.
ORACLE_LAYERS = 8

BAD_JOB = """\
zoo: [digits.h5]
output: results/bad.h5
measures: [{measure: nonsense}]
"""
SLOW_SAMPLES = 20000
SLOW_JOB = """\
zoo: [slow.h5]
output: results/slow.h5
team_size: 1
checkpoint: 1
measures: [{name: slow, measure: cka, kernel: rbf}]
"""

# Ranks outnumber the cores here: who waits has to let others compute.
YIELD = {"OMPI_MCA_mpi_yield_when_idle": "1"}
# Two pretended nodes have one /dev/shm, so that the ranks of both would make the same shared files in it. And with
# two slurmd on a busy machine, the default fence of Slurm 22.05's PMIx plugin lets a rank leave MPI_Init
# before another is ready to receive (17 of 600 starts crashed; with the ring none of 450).
PRETENDED = {
    "OMPI_MCA_btl": "self,tcp",
    "OMPI_MCA_btl_tcp_if_include": "lo",
    "SLURM_PMIX_FENCE": "ring",
}

# What sbatch is asked for: what the script says, or what this machine can grant instead of a cluster.
AS_WRITTEN = []
ONE_NODE = ["--nodes=1", "--ntasks-per-node=2", "--mem-per-cpu=512M"]
TWO_NODES = ["--nodes=2", "--ntasks-per-node=2", "--mem-per-cpu=512M"]


class BatchScripts(unittest.TestCase):
    """Each script of jobs/ runs as it stands, apart from its size."""

    zoogram: pathlib.Path
    source: pathlib.Path
    expected = None  # of the slow job

    @classmethod
    def setUpClass(cls):
        cls.slurm = PrivateSlurm(nodes=2, cpus=4, memory=4000)
        cls.slurm.start()
        cls.addClassCleanup(cls.slurm.stop)
        # Every user may enter the cluster's directory, which is not so for a build tree below /root.
        cls.program = shutil.copy2(cls.zoogram, cls.slurm.directory / "zoogram")

    def test_smoke_gives_the_same_values_on_one_and_two_nodes_as_root_and_as_a_user(self):
        runs = {
            (user, nodes): self.complete("smoke", user, options)
            for user in ("root", ORDINARY_USER)
            for nodes, options in ((1, ONE_NODE), (2, AS_WRITTEN))
        }
        expected = runs["root", 1]
        for run, results in runs.items():
            for name in ("cka", "cka_rbf", "hsic_minibatch"):
                with self.subTest(run=run, tensor=name):
                    self.assertLess(oracle.deviation(results[name][()], expected[name][()]), SAME)

    def test_all_pairs_gives_the_values_of_the_oracle(self):
        results = self.complete("all-pairs", ORDINARY_USER, TWO_NODES)
        self.assert_is_the_oracle(results, "cka", Measure())

    def test_large_n_gives_the_values_of_the_oracle(self):
        results = self.complete("large-n", "root", TWO_NODES)
        self.assert_is_the_oracle(results, "cka", Measure())
        self.assert_is_the_oracle(results, "cka_rbf", Measure(kernel="rbf"))

    def test_a_bad_job_file_fails_with_its_exit_code_and_is_not_requeued(self):
        directory = self.workspace("root")
        (directory / "bad.yaml").write_text(BAD_JOB)
        job = self.submit("smoke.sbatch", "root", directory, ONE_NODE, ["bad.yaml"])
        end = self.wait(job)
        self.assertEqual(end["JobState"], "FAILED")
        self.assertEqual(end["ExitCode"], f"{BAD_JOB_FILE}:0")
        self.assertEqual(end["Restarts"], "0")
        log = self.log(end)
        self.assertEqual(log.count("zoogram: error: "), 1, log)
        self.assertIn("bad.yaml:3", log)
        self.assertIn(f"exit code {BAD_JOB_FILE}", log)
        self.assertFalse((directory / "results/bad.h5").exists())

    def test_a_signalled_job_goes_back_into_the_queue_and_resumes_to_the_same_bits(self):
        # What --signal does before the time limit, which Slurm counts in whole minutes.
        log = self.disturb(lambda job: self.slurm.call("scancel", "--signal=USR1", job))
        for message in ("left with exit code 75", "(restart 1 of"):
            self.assertEqual(log.count(message), 1, log)

    def test_a_cancelled_step_leaves_what_the_next_job_goes_on_with(self):
        directory = self.workspace_with_a_slow_job(ORDINARY_USER)
        job = self.submit_slow(directory)
        self.slurm.call("scancel", f"{job}.0")
        end = self.wait(job)  # ranks of a cancelled step are killed at once, and somebody wants it to end
        self.assertEqual((end["JobState"], end["Restarts"]), ("FAILED", "0"), self.log(end))
        wait_for(self.slurm.idle, 30, "the first run did not end")
        self.assert_ends_as_undisturbed(directory, self.submit_slow(directory))

    def test_a_preempted_job_resumes_to_the_same_bits(self):
        def preempt(_):
            self.slurm.call("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null",
                            "--wrap=sleep 2", directory=self.slurm.directory)

        self.disturb(preempt)

    def test_a_job_whose_node_fails_resumes_on_another_to_the_same_bits(self):
        def lose(job):
            lost.append(self.describe(job)["NodeList"])
            self.slurm.lose_node(lost[0])

        lost = []
        try:
            self.disturb(lose, another_node=True)
        finally:
            self.slurm.return_node(lost[0])
            wait_for(self.slurm.idle, 60, "the lost node did not return")

    def disturb(self, action, another_node=False):
        """Do something to a job that has made a checkpoint; it goes back into the queue and ends with the bits of one
        that nobody has disturbed. Its log."""
        directory = self.workspace_with_a_slow_job(ORDINARY_USER)
        job = self.submit_slow(directory)
        action(job)
        try:
            wait_for(lambda: self.describe(job)["JobState"] == "PENDING", 60, "the job was not requeued")
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.describe(job)}\n{self.log(self.describe(job))}") from None
        if not another_node:
            wait_for(self.slurm.idle, 30, "the first run did not end")
        # Else two minutes later; but not in the second in which the first run was ended.
        self.slurm.call("scontrol", "update", f"jobid={job}", "StartTime=now+2")
        log = self.assert_ends_as_undisturbed(directory, job)
        self.assertEqual(self.describe(job)["Restarts"], "1", log)
        return log

    def submit_slow(self, directory):
        """Returns once the job has made a checkpoint."""
        before = set(directory.glob("results/slow.h5.state/*"))
        job = self.submit("all-pairs.sbatch", ORDINARY_USER, directory, ONE_NODE, ["slow.yaml"])
        wait_for(lambda: set(directory.glob("results/slow.h5.state/*")) - before, 60, "no checkpoint was made")
        return job

    def assert_ends_as_undisturbed(self, directory, job):
        """The job has resumed and ends with the bits of one that nobody has disturbed. Its log."""
        end = self.wait(job)
        log = self.log(end)
        self.assertEqual((end["JobState"], end["ExitCode"]), ("COMPLETED", "0:0"), log)
        for message in (" resumes: ", "left with exit code 0"):
            self.assertEqual(log.count(message), 1, log)
        found = self.results(directory, "slow", ORDINARY_USER)["slow"][()]
        np.testing.assert_array_equal(found, self.undisturbed())
        return log

    def undisturbed(self):
        """The tensor of the slow job when nobody disturbs it; computed once."""
        if self.expected is None:
            directory = self.workspace_with_a_slow_job(ORDINARY_USER)
            self.wait(self.submit("all-pairs.sbatch", ORDINARY_USER, directory, ONE_NODE, ["slow.yaml"]))
            type(self).expected = self.results(directory, "slow", ORDINARY_USER)["slow"][()]
        return self.expected

    def test_a_job_array_and_its_merge_give_the_bits_of_a_single_job(self):
        expected = self.complete("all-pairs", ORDINARY_USER, ONE_NODE)["cka"][()]
        directory = self.workspace(ORDINARY_USER)
        array = self.submit("array.sbatch", ORDINARY_USER, directory, [*ONE_NODE, "--array=1-3"])
        merge = self.submit("merge.sbatch", ORDINARY_USER, directory, [*ONE_NODE, f"--dependency=afterok:{array}"])
        end = self.wait(merge)
        logs = "\n".join(path.read_text() for path in sorted(directory.glob("zoogram-*.log")))
        self.assertEqual((end["JobState"], end["ExitCode"]), ("COMPLETED", "0:0"), logs)
        for shard in (1, 2, 3):
            self.assertIn(f"run all-pairs.yaml --shard {shard}/3", (directory / f"zoogram-array-{array}_{shard}.log").read_text())
        np.testing.assert_array_equal(self.results(directory, "all-pairs", ORDINARY_USER)["cka"][()], expected)

    def complete(self, name, user, options):
        """Submit the script in a new workspace and wait for its success; returns its open results file."""
        directory = self.workspace(user)
        end = self.wait(self.submit(f"{name}.sbatch", user, directory, options))
        log = self.log(end)
        self.assertEqual((end["JobState"], end["ExitCode"]), ("COMPLETED", "0:0"), log)
        self.assertIn("exit code 0", log)
        return self.results(directory, name, user)

    def workspace(self, user):
        """A copy of jobs/ that belongs to the user, with the bundled zoo also where big zoos are looked for."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"jobs-{user}-", dir=self.slurm.directory))
        for file in (self.source / "jobs").iterdir():
            if file.is_file():
                shutil.copy2(file, directory)
        (directory / "zoo").mkdir()
        (directory / "zoo/digits.h5").symlink_to("../digits.h5")
        for path in (directory, *directory.rglob("*")):
            shutil.chown(path, user)
        return directory

    def workspace_with_a_slow_job(self, user):
        """A workspace with slow.yaml, which computes for some seconds and makes a checkpoint every second."""
        directory = self.workspace(user)
        random = np.random.default_rng(0)
        layers = {f"layer{i}": random.normal(size=(SLOW_SAMPLES, 64)).astype("f4") for i in range(8)}
        write_zoo(directory / "slow.h5", {"model": layers})
        (directory / "slow.yaml").write_text(SLOW_JOB)
        return directory

    def submit(self, script, user, directory, options=(), arguments=()):
        """The number of the submitted job."""
        account = pwd.getpwnam(user)
        identity = [f"--uid={account.pw_uid}", f"--gid={account.pw_gid}"]
        settings = {"ZOOGRAM": self.program, **YIELD, **({} if ONE_NODE[0] in options else PRETENDED)}
        command = ["sbatch", "--parsable", *identity, *options, script, *arguments]
        return self.slurm.call(*command, directory=directory, settings=settings).strip()

    def wait(self, job):
        """What scontrol says of the job once it has ended."""
        wait_for(lambda: self.describe(job)["JobState"] in TERMINAL, 100, f"job {job} did not end")
        return self.describe(job)

    def describe(self, job):
        """scontrol's fields of a job."""
        text = self.slurm.call("scontrol", "show", "job", "--oneliner", job)
        return dict(field.split("=", 1) for field in text.split() if "=" in field)

    def log(self, description):
        """The text of the job's log."""
        return pathlib.Path(description["StdOut"]).read_text()

    def results(self, directory, name, user):
        """The open file results/<name>.h5, which has to be complete and the user's."""
        path = directory / f"results/{name}.h5"
        self.assertEqual(path.stat().st_uid, pwd.getpwnam(user).pw_uid)
        file = h5py.File(path)
        self.addCleanup(file.close)
        self.assertEqual(file.attrs["complete"], 1)
        return file

    def assert_is_the_oracle(self, results, name, measure):
        """The tensor agrees with the slow reference on a spread of layers of the bundled zoo."""
        items = results["item_a"].asstr()[:]
        chosen = np.unique(np.linspace(0, len(items) - 1, ORACLE_LAYERS).astype(int))
        with h5py.File(self.source / "jobs/digits.h5") as zoo:
            layers = [zoo["models/{}/activations/{}".format(*item.split("/", 1))][()] for item in items[chosen]]
        expected, _ = oracle.tensor(layers, measure)
        self.assertLess(oracle.deviation(results[name][()][np.ix_(chosen, chosen)], expected), SINGLE)


def main(zoogram, source, *arguments):
    if os.geteuid() != 0:
        print("skipped: slurmd starts jobs for other users, which needs root")
        return SKIPPED
    if missing := missing_programs():
        print(f"missing: {', '.join(missing)} (scripts/install-packages test)")
        return 1
    BatchScripts.zoogram, BatchScripts.source = pathlib.Path(zoogram), pathlib.Path(source)
    result = unittest.main(argv=[__file__, *arguments], exit=False, verbosity=2).result
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
