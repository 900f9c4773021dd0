#!/usr/bin/env python3
"""The checks of this folder refuse what they are there to refuse."""

import sys
import tempfile
import unittest
from pathlib import Path

import dependencies
import leftovers
import links
import proportions
import purity
from rust_source import ROOT, blanked, functions, paths, test_modules, without_tests


class Reading(unittest.TestCase):
    def test_comments_strings_and_characters_are_blanked(self):
        source = 'a /* x /* y */ z */ "}" r#"{"# b\'{\' \'\\\'\' // {\n&\'a str'
        self.assertEqual(blanked(source).split(), ["a", "&'a", "str"])
        self.assertEqual(blanked(source).count("\n"), 1)

    def test_tests_are_cut_and_functions_after_them_stay(self):
        source = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n#[cfg(test)]\nmod more;\nfn c() {}\n"
        self.assertEqual([name for name, _ in functions(without_tests(source))], ["a", "c"])

    def test_modules_for_tests_in_files_of_their_own_are_known(self):
        declared = "#[cfg(test)]\nmod sample;\nmod page;\n"
        self.assertEqual(list(test_modules("cli/src/page/mod.rs", declared)), ["cli/src/page/sample.rs"])
        self.assertEqual(list(test_modules("cli/src/page.rs", declared)), ["cli/src/page/sample.rs"])

    def test_functions_are_measured_from_signature_to_brace(self):
        source = "fn a(x: [u8; 4])\nwhere\n    T: B,\n{\n    c();\n}\ntrait T {\n    fn only_declared(&self);\n}\n"
        self.assertEqual(list(functions(source)), [("a", 6)])

    def test_use_trees_become_paths(self):
        self.assertIn("std::net::UdpSocket", paths("use std::{fmt, net::{IpAddr, UdpSocket}};"))


class Proportions(unittest.TestCase):
    def faults(self, *lengths):
        """Faults of a file made of functions of these lengths."""
        source = "".join(f"fn f{at}() {{\n" + "x();\n" * (lines - 2) + "}\n" for at, lines in enumerate(lengths))
        return proportions.faults_of(*proportions.measure([("core/wire/src/a.rs", source)]))

    def test_short_functions_pass(self):
        self.assertEqual(self.faults(5, 20, 25), [])

    def test_each_limit_has_a_source_that_breaks_it(self):
        broken = {
            "90th percentile of function lines": self.faults(26, 26),
            "longest function": self.faults(*[5] * 40, 151),
            "percent of function lines in functions over 100": self.faults(*[5] * 20, 101),
            "median of file lines": self.faults(*[10] * 19),
            "90th percentile of file lines": self.faults(*[10] * 46),
            "longest file": self.faults(*[10] * 71),
        }
        self.assertEqual(list(broken), [limit.what for limit in proportions.LIMITS])
        for what, faults in broken.items():
            self.assertTrue(any(fault.startswith(what) for fault in faults), (what, faults))

    def test_tests_do_not_count(self):
        tests = "#[cfg(test)]\nmod tests {\n" + "fn x() {}\n" * 900 + "}\n"
        self.assertEqual(proportions.measure([("core/wire/src/a.rs", "fn a() {}\n" + tests)])[1], [(2, "core/wire/src/a.rs")])


class Purity(unittest.TestCase):
    def faults(self, source, name="core/wire/src/a.rs"):
        return list(purity.faults_of(name, source))

    def test_a_pure_core_passes(self):
        self.assertEqual(self.faults("use std::net::IpAddr;\nuse std::collections::BTreeMap;\nfn a() {}\n"), [])

    def test_every_effect_is_refused_in_a_core(self):
        for effect in (
            "use std::fs;", "use std::{fmt, thread};", "std::env::var(x);", "use std::net::{IpAddr, UdpSocket};",
            "let now = Instant::now();", "use std::time::SystemTime;", "use tokio::net;", "async fn a() {}", "a.await;",
            "use rand::Rng;", "rand::random();", "use std::collections::HashMap;", "static mut A: u8 = 0;",
            "std::io::stdin();", "use std::sync::Mutex;", "unsafe { a() }",
        ):  # fmt: skip
            self.assertEqual(len(self.faults(effect)), 1, effect)

    def test_words_in_comments_strings_and_tests_are_no_effects(self):
        self.assertEqual(self.faults('// std::fs\nconst A: &str = "unsafe";\n#[cfg(test)]\nmod tests { use std::fs; }\n'), [])

    def test_unsafe_is_allowed_in_host_net_only(self):
        self.assertEqual(self.faults("unsafe { a() }", "host/net/src/a.rs"), [])
        self.assertEqual(len(self.faults("unsafe { a() }", "cli/src/main.rs")), 1)

    def test_sockets_are_made_in_host_net_only(self):
        for socket in ("use socket2::Socket;", "use mio::net::TcpStream;", "tokio::net::TcpListener::bind(a);", "UnixStream::pair();"):
            self.assertEqual(self.faults(socket, "host/net/src/a.rs"), [])
            self.assertEqual(len(self.faults(socket, "host/server/src/a.rs")), 1, socket)

    def test_a_core_must_forbid_unsafe(self):
        self.assertEqual(len(self.faults("//! A core.\n", "core/wire/src/lib.rs")), 1)


class Dependencies(unittest.TestCase):
    def faults(self, *packages):
        """Faults of a workspace; a package is (folder, licence, folders and crates it uses, kind of use)."""
        root = Path("/repository")
        ids = [package[0] for package in packages]
        metadata = {
            "workspace_members": [id for id in ids if "/" in id or id == "cli"],
            "packages": [
                {
                    "id": id,
                    "name": id,
                    "version": "1.0.0",
                    "license": licence,
                    "source": None if "/" in id or id == "cli" else dependencies.REGISTRY,
                    "manifest_path": str(root / id / "Cargo.toml"),
                }
                for id, licence, *_ in packages
            ],
            "resolve": {
                "nodes": [
                    {"id": id, "deps": [{"pkg": pkg, "dep_kinds": [{"kind": kind}]} for pkg in uses]}
                    for id, _, uses, kind in packages
                ]
            },
        }
        return list(dependencies.check(metadata, root))

    OURS = "MIT OR Apache-2.0"

    def test_one_way_dependencies_pass(self):
        self.assertEqual(self.faults(("core/wire", self.OURS, [], None), ("core/qos", self.OURS, ["core/wire"], None)), [])

    def test_a_dependency_against_the_direction_is_refused(self):
        faults = self.faults(("core/wire", self.OURS, ["core/qos"], None), ("core/qos", self.OURS, [], None))
        self.assertEqual(faults, ["core/wire may not depend on core/qos"])

    def test_a_core_on_a_host_crate_is_refused(self):
        faults = self.faults(("core/wire", self.OURS, ["host/net"], None), ("host/net", self.OURS, [], None))
        self.assertEqual(faults, ["core/wire may not depend on host/net"])

    def test_an_effect_is_found_behind_another_crate(self):
        via = [("core/wire", self.OURS, ["helper"], None), ("helper", "MIT", ["tokio"], None), ("tokio", "MIT", [], None)]
        self.assertEqual(self.faults(*via), ["core/wire links tokio, a crate with effects"])

    def test_what_only_tests_use_is_not_linked(self):
        self.assertEqual(self.faults(("core/wire", self.OURS, ["rand"], "dev"), ("rand", "MIT", [], None)), [])

    def test_a_crate_outside_the_layout_is_refused(self):
        self.assertIn("no crate of the layout", self.faults(("core/misc", self.OURS, [], None))[0])

    def test_licences_that_bind_users_are_refused(self):
        for licence in ("GPL-3.0-only", "AGPL-3.0", "MIT AND GPL-2.0", "(MIT OR Apache-2.0) AND AGPL-3.0-only", "", None, "MIT OR"):
            self.assertEqual(len(self.faults(("x", licence, [], None))), 1, licence)

    def test_free_licences_pass_in_every_spelling(self):
        for licence in (
            "MIT", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "GPL-2.0 OR MIT",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        ):  # fmt: skip
            self.assertEqual(self.faults(("x", licence, [], None)), [], licence)

    def test_a_crate_from_elsewhere_is_refused(self):
        package = {"name": "x", "version": "1", "license": "MIT", "source": "git+https://example.org/x"}
        self.assertEqual(len(list(dependencies.licence_faults(package, ours=False))), 1)


class Commands(unittest.TestCase):
    def test_ci_and_people_run_the_same_command(self):
        self.assertIn("exec ./check\n", (ROOT / ".ci" / "run").read_text())

    def test_the_commands_of_the_readme_are_there(self):
        commands = [line.split()[0] for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("./")]
        self.assertEqual(commands, ["./try", "./check"])
        for command in [*commands, ".ci/run"]:
            self.assertTrue((ROOT / command).stat().st_mode & 0o111, command)

    def test_a_failing_command_ends_every_script(self):
        for script in ("check", "try", ".ci/run"):
            self.assertIn("\nset -euo pipefail\n", (ROOT / script).read_text(), script)


class Links(unittest.TestCase):
    def faults(self, text):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            (root / "docs").mkdir()
            (root / "there.md").write_text("# A heading, with `code`\n")
            return list(links.faults_of("docs/page.md", text, root))

    def test_files_headings_and_the_web_pass(self):
        self.assertEqual(self.faults("[a](../there.md) [b](../there.md#a-heading-with-code) [c](https://example.org)"), [])

    def test_links_in_code_are_text(self):
        self.assertEqual(self.faults("`[a](none.md)`\n```\n[a](none.md)\n```\n"), [])

    def test_a_missing_file_a_missing_heading_and_a_way_out_are_refused(self):
        for link in ("none.md", "../there.md#none", "../../etc"):
            self.assertEqual(len(self.faults(f"[a]({link})")), 1, link)


class Leftovers(unittest.TestCase):
    def faults(self, line, name="a.rs"):
        return list(leftovers.faults_of(name, f"{line}\n"))

    def test_plain_text_passes(self):
        self.assertEqual(self.faults("let a = 1; // see docs/wor" + "k/ and https://example.org/hom" + "e"), [])

    def test_each_leftover_is_refused(self):
        for line in ("/wor" + "k/x", "/home/jo" + "e/x", "// FIX" + "ME", "tod" + "o!()", "#[igno" + "re]", "<<<<<<" + "< HEAD"):
            self.assertEqual(len(self.faults(line)), 1, line)

    def test_another_registry_is_refused(self):
        self.assertEqual(len(self.faults('source = "registry+https://example.org/index"', "Cargo.lock")), 1)
        self.assertEqual(self.faults(leftovers.REGISTRY, "Cargo.lock"), [])


if __name__ == "__main__":
    sys.exit(unittest.main())
