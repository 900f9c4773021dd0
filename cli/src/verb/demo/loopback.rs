//! The demo without namespaces: real server and phones on loopback, judged by the marks that receivers read.
//!
//! There is no link to fill and no router to break, and nothing to capture without rights: those acts are left out.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use carillon_qos::verify::cause::Cause;
use serde_json::Value;

use super::act::{Diagnosis, Expected, Seen};
use super::network::HERE;
use super::phone::Phone;
use super::server::{DOMAIN, FrontEnd, PLAN};
use super::stage::Stage;
use super::{account, directory};
use crate::answer::{Answer, Failure};

/// Said on the terminal and in `verdict.json`.
const NOT_SHOWN: &str = "congestion and bleaching not shown";
const SPEECH: Duration = Duration::from_secs(4);

/// Tells what can be told; `reason` is why there are no namespaces.
pub(super) fn tell(reason: &str, out: Option<&Path>, terminal: &mut dyn Write) -> Result<Answer, Failure> {
    let place = directory(out)?;
    let mut stage = Stage::new(terminal);
    stage.title("On this machine's loopback, without namespaces")?;
    stage.say(reason)?;
    stage.say(NOT_SHOWN)?;
    let acts = play(&mut stage, &place)?;
    stage.curtain(&acts)?;
    account::write(&place.join("verdict.json"), &acts, stage.elapsed(), Some(NOT_SHOWN))?;
    let leftover = if out.is_some() { place.join("server") } else { place };
    fs::remove_dir_all(leftover).map_err(|error| Failure::new("cannot tidy up", error))?;
    Ok(if acts.iter().all(|seen| seen.right) { Answer::Yes } else { Answer::No })
}

fn play(stage: &mut Stage<'_>, place: &Path) -> Result<Vec<Seen>, Failure> {
    // All phones share one address here: two calls' ends need two pairs of ports.
    let plan = PLAN.replace("audio = \"50000-50001\"", "audio = \"50000-50003\"");
    // Above what is reserved, below what the system gives away: another demo may run beside this one.
    let port = u16::try_from(20_000 + std::process::id() % 10_000).unwrap_or(20_000);
    let front_end = FrontEnd::start(HERE, port, &plan, place, &["alice", "bob", "carol"])?;
    let scene = Scene { front_end, files: place.join("server") };
    let (bob, _) =
        Phone::start_answering(&scene.front_end, HERE, "bob", &["--expect", "alice"], &scene.files)?;
    let (carol, _) =
        Phone::start_answering(&scene.front_end, HERE, "carol", &["--expect", "alice"], &scene.files)?;
    let mut acts = Vec::new();

    stage.title("1  Alice calls Bob")?;
    let reports = scene.call(stage, "bob", &bob, &[])?;
    acts.push(shown(stage, Seen::in_reports("A call as planned", Expected::Green, &reports))?);

    stage.title("2  Alice's phone ignores its range")?;
    let reports = scene.call(stage, "carol", &carol, &["--misbehave", "ports=40000-40019"])?;
    let expected = Expected::Red(Cause::PortOutsideRange);
    acts.push(shown(stage, Seen::in_reports("A phone outside its range", expected, &reports))?);

    stage.title("3  The range runs out: two calls, and ports for one")?;
    acts.push(scene.exhausted(stage, &bob)?);

    stage.title("4  Alice's phone obeys again")?;
    let reports = scene.call(stage, "carol", &carol, &[])?;
    acts.push(shown(stage, Seen::in_reports("Green again", Expected::Green, &reports))?);
    bob.stop()?;
    carol.stop()?;
    Ok(acts)
}

fn shown(stage: &mut Stage<'_>, seen: Seen) -> Result<Seen, Failure> {
    stage.verdict(&seen)?;
    Ok(seen)
}

struct Scene {
    front_end: FrontEnd,
    files: PathBuf,
}

impl Scene {
    fn dial(&self, to: &str, arguments: &[&str]) -> Result<Phone, Failure> {
        let (to, seconds) = (format!("{to}@{DOMAIN}"), SPEECH.as_secs().to_string());
        let mut all = vec!["--to", &to, "--duration", &seconds, "--codec", "pcmu", "--expect", "bob"];
        all.extend(arguments);
        Phone::start(&self.front_end, HERE, "alice", &all, &self.files)
    }

    /// A call up to its end; gives the reports of both ends.
    fn call(
        &self,
        stage: &mut Stage<'_>,
        to: &str,
        callee: &Phone,
        arguments: &[&str],
    ) -> Result<Vec<Value>, Failure> {
        let mut caller = self.dial(to, arguments)?;
        caller.wait("answered")?;
        stage.wait("speaking", SPEECH);
        let reports = vec![caller.wait("report")?, callee.wait("report")?];
        caller.ended()?;
        Ok(reports)
    }

    fn exhausted(&self, stage: &mut Stage<'_>, bob: &Phone) -> Result<Seen, Failure> {
        let mut first = self.dial("bob", &[])?;
        first.wait("answered")?;
        // Both ends have agreed on one port each and given the other back.
        thread::sleep(Duration::from_millis(300));
        let mut second = self.dial("carol", &[])?;
        second.ended()?;
        let refusal = second.complaint();
        let reports = vec![first.wait("report")?, bob.wait("report")?];
        first.ended()?;
        let mut seen = shown(stage, Seen::in_reports("A range runs out", Expected::Exhausted, &reports))?;
        let found = Diagnosis::exhausted(refusal);
        stage.refusal(&found)?;
        seen.right &= found.names_the_range("50000-50003");
        seen.diagnoses.push(found);
        Ok(seen)
    }
}
