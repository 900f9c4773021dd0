//! The story: five acts on one network.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carillon_qos::Plan;
use carillon_qos::verify::Limits;
use carillon_qos::verify::cause::Cause;
use serde_json::Value;

use super::act::{Diagnosis, Expected, Heard, Seen};
use super::capture::{self, Captures};
use super::network::{self, ALICE, BACKUP, BOB, CAROL, Process, SERVER};
use super::phone::Phone;
use super::server::{DOMAIN, FrontEnd, PLAN};
use super::stage::Stage;
use super::{account, directory};
use crate::answer::{Answer, Failure};
use crate::table::{Column, Table};
use crate::words;

/// How long people speak in an act: long enough for the first reports of RTCP.
const SPEECH: Duration = Duration::from_secs(5);
/// How long the WAN needs for what is still in its queues: 100 packets of the backup.
const QUEUES: Duration = Duration::from_millis(800);

/// Everything that stands on the stage.
struct Scene<'a, 'b> {
    stage: &'a mut Stage<'b>,
    directory: PathBuf,
    plan: Plan,
    front_end: FrontEnd,
    acts: Vec<Seen>,
}

/// Tells it. `out` is where files shall be left.
pub(super) fn tell(out: Option<&Path>, terminal: &mut dyn Write) -> Result<Answer, Failure> {
    let place = directory(out)?;
    let mut stage = Stage::new(terminal);
    introduce(&mut stage)?;
    network::build()?;
    let plan = plan(PLAN)?;
    let front_end = FrontEnd::start(SERVER, 5061, PLAN, &place, &["alice", "bob", "carol"])?;
    let mut scene = Scene { stage: &mut stage, directory: place.clone(), plan, front_end, acts: Vec::new() };
    scene.play()?;
    let Scene { acts, .. } = scene;
    stage.curtain(&acts)?;
    let elapsed = stage.elapsed();
    account::write(&place.join("verdict.json"), &acts, elapsed, None)?;
    match out {
        Some(out) => {
            fs::remove_dir_all(place.join("server"))
                .map_err(|error| Failure::new("cannot tidy up", error))?;
            stage.aside(&format!(
                "Left in {}: call.pcapng (for Wireshark), report.html, verdict.json,",
                out.display()
            ))?;
            stage.aside(
                "and the captures of the broken acts: bleached.pcapng, stray.pcapng, exhausted.pcapng.",
            )?;
        }
        None => {
            fs::remove_dir_all(&place).map_err(|error| Failure::new("cannot tidy up", error))?;
            stage.aside("`carillon demo --out DIR` keeps the captures and reports.")?;
        }
    }
    stage.aside(&format!("{:.0} s", elapsed.as_secs_f64()))?;
    Ok(if acts.iter().all(|seen| seen.right) { Answer::Yes } else { Answer::No })
}

fn introduce(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.title("Two sites and a WAN, in namespaces of their own")?;
    stage.say("  alice ─┐                                          ┌─ bob")?;
    stage.say(" server ─┼─ router A ══ WAN, 2 Mbit/s ══ router B ──┤")?;
    stage.say(" backup ─┘                                          └─ carol")?;
    Ok(())
}

fn plan(text: &str) -> Result<Plan, Failure> {
    Plan::from_toml(text).map_err(|problems| {
        Failure::Message(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

impl Scene<'_, '_> {
    fn play(&mut self) -> Result<(), Failure> {
        let phones = self.sign_in()?;
        self.congestion()?;
        self.bleached()?;
        self.stray_phone()?;
        self.exhausted()?;
        phones.into_iter().try_for_each(Phone::stop)?;
        self.repaired()
    }

    /// Bob and Carol wait for calls; Alice looks what she is given.
    fn sign_in(&mut self) -> Result<Vec<Phone>, Failure> {
        self.stage.title("Signing in over TLS: the plan comes with it")?;
        let alice = self.phone(ALICE, "alice", &["--show-provisioning"])?;
        let mut given = vec![("alice", alice.wait("provisioned")?)];
        let phones = self.answering(&mut given)?;
        let mut table =
            Table::new(["USER", "AUDIO", "MARK", "VIDEO", "MARK", "PLAN", "FROM"].map(Column::left));
        for (user, provisioned) in &given {
            let class = |name: &str, key: &str| class_fact(provisioned, name, key);
            let version = format!("{} v{}", fact(provisioned, "plan"), fact(provisioned, "version"));
            table.row(
                [
                    (*user).to_owned(),
                    class("audio", "ports"),
                    mark(&class("audio", "mark")),
                    class("video", "ports"),
                    mark(&class("video", "mark")),
                    version,
                    class("audio", "ports_from"),
                ]
                .map(|text| text.as_str().into()),
            );
        }
        self.stage.table(&table)?;
        Ok(phones)
    }

    fn answering(&self, given: &mut Vec<(&'static str, Value)>) -> Result<Vec<Phone>, Failure> {
        let mut phones = Vec::new();
        for (node, user) in [(BOB, "bob"), (CAROL, "carol")] {
            let (phone, provisioned) =
                Phone::start_answering(&self.front_end, node, user, &[], &self.directory.join("server"))?;
            given.push((user, provisioned));
            phones.push(phone);
        }
        Ok(phones)
    }

    fn congestion(&mut self) -> Result<(), Failure> {
        self.stage.title("1  Alice calls Bob while a backup fills the WAN")?;
        let file = self.act_file("congested");
        let captures = Captures::start(&self.directory)?;
        let backup = self.backup()?;
        let heard = self.call(&[("alice", "bob")], &[])?;
        drop(backup);
        self.judge("Voice over a congested WAN", Expected::Green, captures, &file, &heard)
    }

    fn bleached(&mut self) -> Result<(), Failure> {
        self.stage.title("2  The same, but router A takes the mark off")?;
        let file = self.act_file("bleached");
        network::bleach()?;
        let captures = Captures::start(&self.directory)?;
        let backup = self.backup()?;
        let heard = self.call(&[("alice", "bob")], &[])?;
        drop(backup);
        self.stage.wait("the queues empty", QUEUES);
        network::repair()?;
        let expected = Expected::Red(Cause::RemarkedBetweenPoints);
        self.judge("A router bleaches EF", expected, captures, &file, &heard)
    }

    fn stray_phone(&mut self) -> Result<(), Failure> {
        self.stage.title("3  Router A is repaired; Alice's phone ignores its range")?;
        let file = self.act_file("stray");
        let captures = Captures::start(&self.directory)?;
        let heard = self.call(&[("alice", "carol")], &["--misbehave", "ports=40000-40019"])?;
        let expected = Expected::Red(Cause::EndpointNotConfigured);
        self.judge("A phone outside its range", expected, captures, &file, &heard)
    }

    /// While Alice talks to Bob, her second phone on the same machine has no port left.
    fn exhausted(&mut self) -> Result<(), Failure> {
        self.stage.title("4  The range runs out: Alice's machine has two ports, and makes two calls")?;
        let file = self.act_file("exhausted");
        let captures = Captures::start(&self.directory)?;
        let mut first = self.dial("alice", "bob", &[])?;
        first.wait("answered")?;
        let mut second = self.phone(ALICE, "alice", &["--to", &format!("carol@{DOMAIN}")])?;
        second.ended()?;
        let refusal = second.complaint();
        first.ended()?;
        self.judge("A range runs out", Expected::Exhausted, captures, &file, &[])?;
        let found = Diagnosis::exhausted(refusal);
        self.stage.refusal(&found)?;
        if let Some(seen) = self.acts.last_mut() {
            seen.right &= found.names_the_range("50000-50001");
            seen.diagnoses.push(found);
        }
        Ok(())
    }

    /// The plan is changed once, for everyone: signing in again is all that phones need.
    fn repaired(&mut self) -> Result<(), Failure> {
        let wider = PLAN.replace("audio = \"50000-50001\"", "audio = \"50000-50019\"");
        self.stage.title("5  Repaired: the plan gets a larger range, the phones sign in again")?;
        self.front_end.put_plan(&wider)?;
        self.plan = plan(&wider)?;
        let phones = self.answering(&mut Vec::new())?;
        let file = self.directory.join("call.pcapng");
        let captures = Captures::start(&self.directory)?;
        let backup = self.backup()?;
        let heard = self.call(&[("alice", "bob"), ("alice", "carol")], &[])?;
        drop(backup);
        self.judge("Two calls at once, over the congested WAN", Expected::Green, captures, &file, &heard)?;
        phones.into_iter().try_for_each(Phone::stop)
    }

    fn phone(&self, node: network::Node, user: &'static str, arguments: &[&str]) -> Result<Phone, Failure> {
        Phone::start(&self.front_end, node, user, arguments, &self.directory.join("server"))
    }

    fn dial(&self, from: &'static str, to: &str, arguments: &[&str]) -> Result<Phone, Failure> {
        let (to, seconds) = (format!("{to}@{DOMAIN}"), SPEECH.as_secs().to_string());
        let mut all =
            vec!["--to", &to, "--duration", &seconds, "--codec", "pcmu", "--srtp", "off", "--expect", "bob"];
        all.extend(arguments);
        self.phone(ALICE, from, &all)
    }

    /// Calls at the same time, up to their end; gives what the caller heard.
    fn call(&mut self, calls: &[(&'static str, &str)], arguments: &[&str]) -> Result<Vec<Heard>, Failure> {
        let mut phones = Vec::new();
        for (from, to) in calls {
            let phone = self.dial(from, to, arguments)?;
            phone.wait("answered")?;
            phones.push((phone, format!("{to} → {from}")));
        }
        self.stage.wait("speaking", SPEECH);
        let mut heard = Vec::new();
        for (mut phone, way) in phones {
            let report = phone.wait("report")?;
            heard.push(Heard { way, likeness: likeness(&report) });
            phone.ended()?;
        }
        Ok(heard)
    }

    fn backup(&self) -> Result<Process, Failure> {
        let flood = Process::start(BACKUP, |command| {
            let ends = [BACKUP.address, BOB.address].map(|address| format!("{address}:9"));
            command.args(["demo", "--part", "flood"]).args(ends);
        })?;
        Ok(flood)
    }

    fn act_file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.pcapng"))
    }

    fn judge(
        &mut self,
        title: &'static str,
        expected: Expected,
        captures: Captures,
        file: &Path,
        heard: &[Heard],
    ) -> Result<(), Failure> {
        captures.finish(file)?;
        let (report, options) = capture::judge(file, &self.plan, Limits::default())?;
        if expected == Expected::Green {
            crate::verb::verify::write_page(&self.directory.join("report.html"), &report, &options)?;
        }
        let seen = Seen::in_capture(title, expected, &report, heard);
        self.stage.verdict(&seen)?;
        self.acts.push(seen);
        Ok(())
    }
}

/// How like what was said: not said where frames were skipped, here or there, because the machine was too busy.
fn likeness(report: &Value) -> Option<f64> {
    let number = |at: &str| report.pointer(at).and_then(Value::as_f64).unwrap_or_default();
    let spoken = SPEECH.as_secs_f64() * 50.0;
    let in_time = number("/sent/ticks_skipped") == 0.0
        && number("/received/packets") + number("/received/lost") >= spoken * 0.98;
    in_time.then(|| number("/quality/similarity"))
}

fn fact(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        // A range of ports.
        Some(Value::Object(range)) => {
            let end = |key| range.get(key).map(ToString::to_string).unwrap_or_default();
            format!("{}-{}", end("start"), end("end"))
        }
        Some(other) => other.to_string(),
    }
}

fn class_fact(provisioned: &Value, name: &str, key: &str) -> String {
    let classes = provisioned.get("classes").and_then(Value::as_array);
    let class = classes.and_then(|classes| classes.iter().find(|class| fact(class, "class") == name));
    class.map(|class| fact(class, key)).unwrap_or_default()
}

fn mark(number: &str) -> String {
    carillon_qos::dscp::parse(number).map(words::mark).unwrap_or_default()
}
