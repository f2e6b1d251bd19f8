"""Ray: the same bytes, workers and nodes that die, and why a cluster can't be joined. Skips without Ray."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from daam_bench.engine import ray_cluster
from daam_bench.engine.choice import choose_engine
from daam_bench.run import main
from daam_bench.types.errors import InputError
from tests.engine.test_shards import arguments, assert_same, error_of

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'daam-bench[ray]'")

pytestmark = pytest.mark.slow

METHOD = """
import sys, time
sys.path.insert(0, {root!r})
from tests.segmenters.methods import Gradient as Base

class Gradient(Base):
    def segment(self, queries):
        time.sleep({seconds})
        return super().segment(queries)
"""


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two nodes with two CPUs each, and a head without any, all on this machine."""
    # A machine that is busy needs longer than the 30 seconds that Ray usually grants.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=2)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def options(cluster, *more):
    return ["--engine", "ray", "--address", cluster.address, "--gpus", "0", *more]


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """A user's own module in the current folder, which only `py_modules` brings to the workers."""
    root = os.getcwd()  # noqa: PTH109

    def write(seconds):
        # A name of its own, for the folders of earlier tests stay on the path.
        name = f"{request.node.name}_method"
        (tmp_path / f"{name}.py").write_text(METHOD.format(root=root, seconds=seconds))
        monkeypatch.chdir(tmp_path)
        return f"{name}:Gradient"

    return write


def test_two_nodes_write_the_bytes_of_one_process(cluster, tiny_dataset, whole, tmp_path, module, capsys):
    argv = arguments(tiny_dataset, tmp_path / "out", *options(cluster, "--workers", "4"), method=module(0.3))
    assert main(argv) == 0
    assert_same(whole, tmp_path / "out")
    assert "workers on 2 nodes" in capsys.readouterr().err


def test_a_node_that_is_killed_is_named_and_its_batches_go_to_others(
    cluster,
    tiny_dataset,
    whole,
    tmp_path,
    module,
    caplog,
):
    predictions = tmp_path / "out" / "coco_gen" / "predictions.jsonl"

    def kill():
        while not (predictions.exists() and predictions.read_bytes().count(b"\n") > 1):
            time.sleep(0.05)
        nodes = {node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()}
        while not (busy := nodes & parents_of("ray::_Actor.work")):
            time.sleep(0.05)
        os.kill(busy.pop(), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    argv = arguments(tiny_dataset, tmp_path / "out", *options(cluster, "--workers", "3"), method=module(8))
    assert main(argv) == 0
    killer.join(10)
    assert_same(whole, tmp_path / "out")
    assert "died" in caplog.text
    assert "(node " in caplog.text


def parents_of(name):
    """Return the parents of the processes of a name."""
    listed = subprocess.run(["ps", "-eo", "ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(maxsplit=1) for line in listed.splitlines())
    return {int(parent) for parent, text in rows if text.startswith(name)}


def test_what_the_cluster_lacks_is_said(cluster):
    with pytest.raises(InputError, match=r"has 0 GPUs and a worker needs 0\.5; use its CPUs with --gpus 0"):
        start(choose_engine(workers="auto", engine="ray", address=cluster.address, gpus=0.5))
    with pytest.raises(InputError, match=r"has room for \d workers, not 99"):
        start(choose_engine(workers="99", engine="ray", address=cluster.address, gpus=0))


def start(engine):
    with engine.start(dict):
        pass


def test_an_address_where_nothing_listens(tmp_path, tiny_dataset, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    argv = arguments(tiny_dataset, tmp_path, "--engine", "ray", "--address", address)
    assert f"nothing can be reached at {address}" in error_of(capsys, argv)


def test_a_cluster_that_asks_for_a_token(tmp_path):
    home = {**os.environ, "HOME": str(tmp_path), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 32}
    command = [sys.executable, "-m", "ray.scripts.scripts"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    head = ["start", "--head", "--num-cpus", "1", "--port", port, "--include-dashboard", "false", "--block"]
    server = subprocess.Popen(
        [*command, *head],
        env=home,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        code = (
            "from daam_bench.engine.choice import choose_engine\n"
            f"engine = choose_engine(workers='1', engine='ray', address='127.0.0.1:{port}', gpus=0)\n"
            "with engine.start(dict): pass\n"
        )
        client = {name: value for name, value in home.items() if not name.startswith("RAY_AUTH")}
        result = subprocess.run(
            [sys.executable, "-c", code], env=client, capture_output=True, text=True, timeout=180, check=False
        )
        assert "InputError" in result.stderr
        assert "RAY_AUTH_MODE=token" in result.stderr
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(60)


def wait_for(port):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("Ray did not start")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Version mismatch: The cluster was started with Ray 2.1", "another Ray or Python"),
        ("Failed to connect to GCS", "RAY_AUTH_MODE=token"),
    ],
)
def test_the_cause_is_told(text, expected):
    assert expected in ray_cluster._why_not("head:6379", RuntimeError(text), ray.__version__)
