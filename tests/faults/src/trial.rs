//! A trial: files and a plan, judged with every number of workers, and what the verdict has to say.

use std::collections::BTreeSet;

use carillon_qos::Plan;
use carillon_qos::plan::QueueMap;
use carillon_qos::verify::cause::{Cause, Severity};
use carillon_qos::verify::report::{Finding, Report, Verdict};
use carillon_qos::verify::{Frame, Limits, Options, RoleAssignment, Share, Verifier};
use carillon_wire::capture::Decoder;

use crate::rewrite::{Capture, File, captures};

/// What is given to the verifier.
#[derive(Clone, Debug)]
pub struct Trial {
    files: Vec<File>,
    plan: Option<Plan>,
    queues: Option<QueueMap>,
    roles: Vec<RoleAssignment>,
    limits: Limits,
    beside: Vec<Cause>,
}

impl Trial {
    /// One file under this plan.
    pub fn of(capture: &Capture, plan: &Plan) -> Trial {
        Trial::of_files(vec![capture.pcap()], plan)
    }

    /// Several files, in the order of the path.
    pub fn of_files(files: Vec<File>, plan: &Plan) -> Trial {
        let limits = Limits::default();
        let (queues, roles, beside) = (None, Vec::new(), Vec::new());
        Trial { files, plan: Some(plan.clone()), queues, roles, limits, beside }
    }

    /// With a switch's map.
    pub fn with_queues(self, map: &str) -> Trial {
        Trial { queues: Some(QueueMap::from_list(map).expect("a queue map")), ..self }
    }

    /// With roles that were told.
    pub fn with_role(mut self, network: &str, prefix: u8, role: carillon_qos::Role) -> Trial {
        self.roles.push(RoleAssignment { network: crate::rewrite::address(network), prefix, role });
        self
    }

    /// With other limits.
    pub fn within(self, limits: Limits) -> Trial {
        Trial { limits, ..self }
    }

    /// A second finding is right here: the fault has this consequence too.
    pub fn beside(mut self, cause: Cause) -> Trial {
        self.beside.push(cause);
        self
    }

    /// The top finding is this one, points at what was struck, and nothing else is blamed.
    #[track_caller]
    pub fn shows(self, cause: Cause) -> Report {
        let report = self.judged();
        let Some(top) = report.findings.first() else {
            panic!("no finding, expected {cause:?}\n{}", told(&report))
        };
        assert_eq!(top.cause, cause, "the top finding\n{}", told(&report));
        let others: Vec<Cause> = report.findings.iter().skip(1).map(|finding| finding.cause).collect();
        assert_eq!(others, self.beside, "one fault, one finding\n{}", told(&report));
        assert_eq!(report.verdict, verdict_of(top.severity), "{}", told(&report));
        assert!(!top.fix.is_empty() && !top.text.is_empty());
        self.points_at_the_fault(&report, top);
        report
    }

    /// No finding, not even advice, and the verdict is a pass.
    #[track_caller]
    pub fn is_clean(self) -> Report {
        let report = self.judged();
        assert!(report.findings.is_empty(), "a finding on a clean capture\n{}", told(&report));
        assert_eq!(report.verdict, Verdict::Pass, "{}", told(&report));
        assert!(report.totals.judged > 0, "something was judged");
        report
    }

    /// The verdict, the same for every number of workers and every order of joining them.
    #[track_caller]
    pub fn judged(&self) -> Report {
        let report = self.with_workers(1, false);
        let expected = serde_json::to_string(&report).expect("a report is JSON");
        for (workers, backwards) in [(2, false), (2, true), (3, false), (5, true), (16, false), (16, true)] {
            let other = self.with_workers(workers, backwards);
            let other = serde_json::to_string(&other).expect("a report is JSON");
            assert!(other == expected, "{workers} workers, backwards: {backwards}:\n{other}\n{expected}");
        }
        report
    }

    /// The verdict of this many workers.
    pub fn with_workers(&self, workers: usize, backwards: bool) -> Report {
        let mut crew: Vec<Verifier> =
            (0..workers).map(|index| Verifier::new(self.limits, Share { index, of: workers })).collect();
        let mut damaged = Vec::new();
        for (number, file) in (0u16..).zip(&self.files) {
            damaged.extend(observe(file, number, &mut crew));
        }
        if backwards {
            crew.reverse();
        }
        let whole = crew.into_iter().reduce(|mut a, b| {
            a.merge(b);
            a
        });
        let options = Options {
            plan: self.plan.clone(),
            queues: self.queues.clone(),
            roles: self.roles.clone(),
            files: (0..self.files.len()).map(|n| format!("point{n}.pcap")).collect(),
            damaged,
            ..Options::default()
        };
        whole.expect("at least one worker").report(&options)
    }

    #[track_caller]
    fn points_at_the_fault(&self, report: &Report, top: &Finding) {
        if self.files.iter().all(|file| file.struck.is_empty()) {
            return;
        }
        let flow = &report.flows[top.flow.expect("a flow that shows the fault")];
        let struck = &self.files[usize::from(report.points[flow.point].file)].struck;
        let frame = top.frame.expect("a frame that shows the fault");
        assert!(struck.contains(&frame), "frame {frame} is none of those struck\n{}", told(report));
        let own: BTreeSet<u64> = self.frames_of(report, top.flow.expect("a flow"));
        assert!(!own.is_disjoint(struck), "flow {} was not struck\n{}", flow.id, told(report));
    }

    /// Frames of a flow, found anew by its addresses and ports.
    fn frames_of(&self, report: &Report, flow: usize) -> BTreeSet<u64> {
        let flow = &report.flows[flow];
        let point = &report.points[flow.point];
        let file = &self.files[usize::from(point.file)];
        let (mut decoder, mut rest, mut frames) = (Decoder::new(), file.bytes.as_slice(), BTreeSet::new());
        while let Ok(Some(record)) = decoder.next(&mut rest) {
            let Some(packet) = carillon_wire::packet::decode(record.link, record.data) else { continue };
            use carillon_wire::packet::Transport;
            let ports = match packet.transport {
                Transport::Udp(udp) => (udp.src_port, udp.dst_port),
                Transport::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
                // Which flow a fragment belongs to only its addresses say here.
                Transport::Fragment(_) => (flow.src_port, flow.dst_port),
                _ => continue,
            };
            let same = (packet.ip.src, packet.ip.dst) == (flow.src, flow.dst)
                && ports == (flow.src_port, flow.dst_port);
            let here = packet.link.interface.unwrap_or(u32::from(record.interface)) == point.interface;
            frames.extend((same && here).then_some(record.frame));
        }
        frames
    }
}

/// The plan of a capture of the repository, with lines behind it.
pub fn plan(file: &str, more: &str) -> Plan {
    let path = captures().join("plans").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Plan::from_toml(&format!("{text}\n{more}")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Feeds a file to every worker; says what is wrong with it, if it is cut or damaged.
fn observe(file: &File, number: u16, crew: &mut [Verifier]) -> Option<String> {
    let (mut decoder, mut rest) = (Decoder::new(), file.bytes.as_slice());
    loop {
        match decoder.next(&mut rest) {
            Ok(Some(record)) => {
                let frame = Frame {
                    number: record.frame,
                    time: record.time,
                    file: number,
                    interface: record.interface,
                    link: record.link,
                    original_len: record.original_len,
                    data: record.data,
                };
                crew.iter_mut().for_each(|worker| worker.observe(&frame));
            }
            Ok(None) => return decoder.finish(rest).err().map(|error| error.to_string()),
            Err(error) => return Some(error.to_string()),
        }
    }
}

fn verdict_of(severity: Severity) -> Verdict {
    match severity {
        Severity::Error => Verdict::Fail,
        Severity::Unjudged => Verdict::Unjudged,
        Severity::Advice => Verdict::Pass,
    }
}

/// The findings and flows of a report in a few lines, for failing tests.
pub fn told(report: &Report) -> String {
    let findings = report
        .findings
        .iter()
        .map(|f| format!("{:?} frame {:?} flows {:?}: {}", f.cause, f.frame, f.flows, f.text));
    let flows = report.flows.iter().map(|f| {
        let marks: Vec<_> = f.marks.iter().map(|m| (m.dscp.value(), m.packets)).collect();
        format!(
            "  {} {}:{} > {}:{} {:?} {:?} by {:?} {} in range {:?} expected {:?} marks {marks:?} {:?}",
            f.id,
            f.src,
            f.src_port,
            f.dst,
            f.dst_port,
            f.content,
            f.class,
            f.class_by,
            f.role,
            f.in_range,
            f.expected.map(|e| e.value()),
            f.verdict
        )
    });
    findings.chain(flows).collect::<Vec<_>>().join("\n")
}
