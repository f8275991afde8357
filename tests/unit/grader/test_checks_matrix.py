"""Which cells there are, what an arrow means, and which probes a cell needs."""

from __future__ import annotations

from typing import Any

import pytest

from content.arrows import Port, parse
from content.errors import UsageError
from grader.kube.parse import read_objects
from grader.matrix import all_cells, build
from grader.plan import plan
from grader.report import CellKey


@pytest.fixture
def make(bank: Any) -> Any:
    """A matrix of the bank: with these arrows in its task, on a cluster with these objects."""

    def made(*arrows: str, objects: Any = None, **kwargs: Any) -> Any:
        lab = bank.lab(bank.task({"allow": arrows or ("customer -> summary",)}), **kwargs)
        return lab, build(lab, read_objects(bank.running(bank.objects + bank.system) if objects is None else objects))

    return made


def test_the_matrix_has_every_pair_on_every_port_and_no_workload_to_itself(make: Any) -> None:
    _, matrix = make()
    names = {"customer": "80", "summary": "80", "database": "2379", "guest.outside": "80"}
    assert list(matrix.endpoints) == list(names)
    expected = {f"{a} -> {b}:{port}" for a in names for b, port in names.items() if a != b}
    assert {str(key) for key in matrix.keys()} == expected  # noqa: SIM118 - a method of Matrix, not of a dict


def test_rows_follow_the_order_of_the_files(make: Any, bank: Any) -> None:
    start = [bank.deployment(name, 80) for name in ("web", "app", "db")]
    _, matrix = make("web -> app", start=start, objects=bank.running(start))
    assert list(matrix.endpoints) == ["web", "app", "db"]


def test_a_name_that_only_an_arrow_mentions_joins_the_matrix_with_its_live_ports(make: Any) -> None:
    _, matrix = make("customer -> coredns.kube-system")
    assert matrix.endpoints["coredns.kube-system"].ports == (Port(53, "UDP"), Port(53))


def test_ports_are_those_of_the_start_and_those_that_arrows_name(make: Any, bank: Any) -> None:
    changed = [bank.deployment("database", 2379, 9999) if d["metadata"]["name"] == "database" else d
               for d in bank.objects]  # fmt: skip
    _, matrix = make("customer -> database:2380,icmp", objects=bank.running(changed))
    assert [str(port) for port in matrix.endpoints["database"].ports] == ["2379", "2380", "icmp"]


def test_the_lab_s_own_namespace_is_not_written(make: Any) -> None:
    _, matrix = make()
    assert matrix.expand(parse("customer.bank -> guest.outside")) == (CellKey("customer", "guest.outside", Port(80)),)


@pytest.mark.parametrize(
    ("arrow", "cells"),
    [
        ("customer -> summary", ["customer -> summary:80"]),
        ("customer -> summary:81", ["customer -> summary:81"]),
        ("customer,guest.outside -> database", ["customer -> database:2379", "guest.outside -> database:2379"]),
        ("* -> database", ["customer -> database:2379", "summary -> database:2379", "guest.outside -> database:2379"]),
        ("customer -> *", ["customer -> summary:80", "customer -> database:2379", "customer -> guest.outside:80"]),
        # `*` with a port means those that serve it
        ("customer -> *:80", ["customer -> summary:80", "customer -> guest.outside:80"]),
        ("database -> customer,summary:icmp", ["database -> customer:icmp", "database -> summary:icmp"]),
        ("customer -> customer", []),
        ("customer,summary -> summary", ["customer -> summary:80"]),
        # a Service has ports of its own
        ("customer -> summary via service", ["customer -> summary:8080 via service"]),
        ("guest.outside -> customer:80 via nodeport", ["guest.outside -> customer:80 via nodeport"]),
    ],
)
def test_an_arrow_means_these_cells(make: Any, arrow: str, cells: list[str]) -> None:
    _, matrix = make()
    assert [str(key) for key in matrix.expand(parse(arrow))] == cells


def test_an_arrow_to_nobody_is_told_who_there_is(make: Any) -> None:
    with pytest.raises(UsageError, match="no workload databse") as raised:
        make()[1].expand(parse("customer -> databse"))
    assert "database" in raised.value.remedy


def test_all_cells_have_those_by_way_of_services_too(make: Any) -> None:
    lab, matrix = make("customer -> summary:8080 via service")
    cells = all_cells(lab, matrix)
    assert CellKey("customer", "summary", Port(8080), "service") in cells
    assert len(cells) == len(set(cells)) == 13


def test_every_pair_of_pods_is_probed_in_every_family(make: Any) -> None:
    _, matrix = make(families=("ipv4", "ipv6"))
    key = CellKey("customer", "summary", Port(80))
    probes = plan(matrix, [key])[key].probes
    assert {(p.source, p.destination, p.port, p.family) for p in probes} == {
        (f"bank/customer-abc-{replica}", "bank/summary-abc-0", 80, family) for replica in (0, 1) for family in (4, 6)
    }


@pytest.mark.parametrize(
    ("via", "port", "destination", "probed"),
    [("service", 8080, "service:bank/summary", 8080), ("nodeport", 80, "node:node-1", 30080)],
)
def test_a_way_leads_to_its_own_address(make: Any, via: str, port: int, destination: str, probed: int) -> None:
    _, matrix = make()
    key = CellKey("database", "summary" if via == "service" else "customer", Port(port), via)
    planned = plan(matrix, [key])[key]
    assert [(p.destination, p.port, p.via) for p in planned.probes] == [(destination, probed, via)]
    assert planned.servers == {pod.ref for pod in matrix.endpoints[key.destination].pods}


@pytest.mark.parametrize(
    ("gone", "key", "problem"),
    [
        ({"database"}, CellKey("customer", "database", Port(2379)), "no workload database"),
        ({"customer"}, CellKey("customer", "database", Port(2379)), "no workload customer"),
        ({"summary"}, CellKey("customer", "summary", Port(8080), "service"), "no workload summary"),
        (set(), CellKey("customer", "database", Port(2379), "service"), "no Service in front of database"),
        (set(), CellKey("guest.outside", "summary", Port(8080), "nodeport"), "no Service in front of summary"),
    ],
)
def test_what_is_missing_is_said_and_not_probed(
    make: Any, bank: Any, gone: set[str], key: CellKey, problem: str
) -> None:
    left = [item for item in bank.objects if item["metadata"]["name"] not in gone]
    _, matrix = make(objects=bank.running(left))
    planned = plan(matrix, [key])[key]
    assert not planned.probes
    assert problem in planned.problem


def test_pods_that_have_finished_are_none(make: Any, bank: Any) -> None:
    objects = bank.running(bank.objects)
    for item in objects:
        if item["kind"] == "Pod" and item["metadata"]["name"] == "customer-abc-1":
            item["status"]["phase"] = "Failed"
    _, matrix = make(objects=objects)
    assert [pod.name for pod in matrix.endpoints["customer"].pods] == ["customer-abc-0"]


def test_names_have_addresses(make: Any) -> None:
    _, matrix = make()
    assert matrix.addresses("node-1") == {"172.18.0.2"}
    assert len(matrix.addresses("customer")) == 4
    assert matrix.addresses("nobody") == frozenset()


def test_an_outside_host_is_an_endpoint(bank: Any) -> None:
    lab = bank.lab(bank.task({"allow": ("bastion -> customer:80",)}))
    topology = lab.spec.topology.model_copy(update={"hosts": ("bastion",)})
    lab = lab.model_copy(update={"spec": lab.spec.model_copy(update={"topology": topology})})
    matrix = build(lab, read_objects(bank.running(bank.objects)))
    key = CellKey("bastion", "customer", Port(80))
    assert {probe.source for probe in plan(matrix, [key])[key].probes} == {"host:bastion"}
