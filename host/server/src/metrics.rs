//! Numbers for Prometheus, in its text format 0.0.4.

use std::fmt::{Display, Write};

use crate::certificate_facts::CertificateFacts;
use crate::status::LinkClass;
use crate::turn::Server;

/// The page under construction.
pub(crate) struct Page(pub(crate) String);

impl Page {
    /// One metric without labels.
    pub(crate) fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.many(name, kind, help, "", [("", value)]);
    }

    /// One metric with a value per label. Names and labels are our own words: nothing needs escaping.
    pub(crate) fn many<L: Display, V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) {
        // Writing to a text cannot fail.
        let _ = write!(self.0, "# HELP carillon_{name} {help}\n# TYPE carillon_{name} {kind}\n");
        for (of, value) in values {
            let _ = match label {
                "" => writeln!(self.0, "carillon_{name} {value}"),
                _ => writeln!(self.0, "carillon_{name}{{{label}=\"{of}\"}} {value}"),
            };
        }
    }
}

/// A value of a label, as the format wants it.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Server {
    /// The page.
    pub(crate) fn metrics(&self) -> String {
        let mut page = Page(String::new());
        let healthy = u8::from(self.health.trouble().is_none());
        page.one("healthy", "gauge", "1 while everything is saved that should be.", healthy);
        page.one(
            "start_time_seconds",
            "gauge",
            "When the server was started.",
            self.clock.started().as_secs(),
        );
        let ends = self.estate.certificate.as_ref().and_then(CertificateFacts::ends);
        page.many(
            "certificate_end_time_seconds",
            "gauge",
            "When the certificate shown over TLS ends.",
            "",
            ends.map(|ends| ("", ends)),
        );
        page.one(
            "clock_set_seconds",
            "gauge",
            "By how much the machine's clock was set since the start.",
            self.clock.set(),
        );
        page.one("plan_version", "gauge", "Version of the plan that holds.", self.estate.plan_version);
        self.front_end_metrics(&mut page);
        self.transport_metrics(&mut page);
        self.turn_metrics(&mut page);
        self.directory_metrics(&mut page);
        self.record_metrics(&mut page);
        self.lease_metrics(&mut page);
        self.link_metrics(&mut page);
        page.0
    }

    fn front_end_metrics(&self, page: &mut Page) {
        let counts = self.front_end.counts();
        page.one("users", "gauge", "Users that may sign in.", counts.users);
        page.one("registrations", "gauge", "Contacts that are signed in.", counts.registrations);
        page.one("messages_waiting", "gauge", "Messages that wait for their users.", counts.letters);
        page.one("calls", "gauge", "Calls that are up.", counts.calls);
        page.one("watchers", "gauge", "Subscriptions to presence.", counts.watchers);
        page.one(
            "publications",
            "gauge",
            "Documents of presence that devices have published.",
            counts.publications,
        );
        page.one("bridges", "gauge", "Calls between browsers and phones.", counts.bridges);
        let talking = self.bridges.talking();
        page.one("bridges_talking", "gauge", "Of these, those with media legs of ours.", talking);
        let transactions = [("server", counts.server_transactions), ("client", counts.client_transactions)];
        page.many("transactions", "gauge", "SIP transactions.", "side", transactions);
        page.one("outputs_waiting", "gauge", "Wishes of the core that were not taken yet.", counts.queued);
        page.many("requests_total", "counter", "Requests received.", "method", counts.requests);
        page.many("responses_total", "counter", "Responses received.", "class", counts.responses);
        page.many("answers_total", "counter", "Responses of our own.", "code", counts.answers);
        page.one("forwarded_total", "counter", "Messages sent on.", counts.forwarded);
        page.one("absorbed_total", "counter", "Retransmissions absorbed.", counts.absorbed);
        page.one("resent_total", "counter", "Retransmissions sent.", counts.resent);
        page.one("timeouts_total", "counter", "Transactions that nobody answered.", counts.timeouts);
        page.one("overload_total", "counter", "Requests answered 503.", counts.overload);
        let denied = counts.denied.iter().map(|(why, number)| (why.name(), number));
        page.many("denied_total", "counter", "Credentials refused.", "reason", denied);
        let locked = self.front_end.count_locks(self.clock.now());
        page.one("locked", "gauge", "Sources that are locked out of a user.", locked);
        page.one("large_total", "counter", "Requests over UDP beyond 1300 bytes.", counts.large);
        page.many("dropped_total", "counter", "Messages dropped.", "reason", counts.dropped);
    }

    fn transport_metrics(&self, page: &mut Page) {
        let counts = self.transports.counts();
        page.one("connections", "gauge", "Connections over TCP and TLS.", counts.connections);
        page.one(
            "connections_unproven",
            "gauge",
            "Of these, those that nobody has vouched for yet.",
            counts.unproven,
        );
        page.one("connections_buffered_bytes", "gauge", "Bytes that connections hold.", counts.buffered);
        let happened = counts.iter().map(|(count, number)| (count.name(), number));
        page.many(
            "transport_total",
            "counter",
            "What happened to connections and sockets.",
            "event",
            happened,
        );
    }

    fn turn_metrics(&self, page: &mut Page) {
        let (counts, commits) = (&self.counts, self.store.commits());
        page.one("turns_total", "counter", "Turns of the loop.", counts.turns);
        page.one("received_total", "counter", "Messages received.", counts.received);
        page.one("sent_total", "counter", "Messages sent.", counts.sent);
        page.one(
            "unmarkable_total",
            "counter",
            "Messages kept back: their mark was not the socket's.",
            counts.unmarkable,
        );
        page.one(
            "bindings_unreadable",
            "gauge",
            "Registrations in the store that could not be read at the start.",
            counts.unreadable,
        );
        page.many("garbage_total", "counter", "What was no SIP.", "reason", &counts.garbage);
        page.many("events_total", "counter", "What happened.", "event", &counts.events);
        page.one("commits_total", "counter", "Transactions of the store.", commits.transactions);
        page.one("commit_changes_total", "counter", "Changes saved in them.", commits.changes);
        page.one("commit_failures_total", "counter", "Transactions that failed.", commits.failures);
    }

    fn directory_metrics(&self, page: &mut Page) {
        let Some(directory) = &self.directory else { return };
        let status = &self.directory_status;
        let (works, read) =
            (u8::from(status.error.is_none() && status.read.is_some()), status.read.unwrap_or(0.0));
        page.one("directory_up", "gauge", "1 while the directory could be read the last time.", works);
        page.one("directory_read_time_seconds", "gauge", "When it was last read to the end.", read);
        page.one("directory_users", "gauge", "Users that it named then.", status.users);
        page.one(
            "directory_users_disabled",
            "gauge",
            "Of these, those who may not sign in.",
            status.disabled,
        );
        let skipped = status.skipped.values().sum::<u64>();
        page.one("directory_skipped", "gauge", "Entries and numbers that were left out.", skipped);
        page.one(
            "directory_vanished",
            "gauge",
            "Users whom it does not name any more: too many at once to be signed out unless somebody confirms it.",
            status.vanished,
        );
        page.one(
            "directory_withheld",
            "gauge",
            "Users at whose passwords many guess: it is asked about them only from where they have signed in.",
            directory.held_users(self.clock.now()),
        );
    }

    fn record_metrics(&self, page: &mut Page) {
        let (counts, waiting) = (self.records.counts, self.records.waiting());
        page.one(
            "records_written_total",
            "counter",
            "Call records written, each time counted.",
            counts.written,
        );
        page.one("records_waiting", "gauge", "Call records that wait to be written.", waiting);
        page.one(
            "records_failures_total",
            "counter",
            "Transactions of the call records that failed.",
            counts.failures,
        );
        page.one("records_lost_total", "counter", "Call records that could not be written.", counts.lost);
        page.one("records_unknown_total", "counter", "Reports of calls that are not known.", counts.unknown);
    }

    /// Names of links are an administrator's: they are escaped.
    fn link_metrics(&self, page: &mut Page) {
        let links = self.link_status();
        let of = |number: fn(&LinkClass) -> Option<u64>| {
            let classes =
                links.iter().flat_map(|link| [(link, "audio", &link.audio), (link, "video", &link.video)]);
            classes.filter_map(move |(link, class, of)| {
                Some((format!("{}\",class=\"{class}", escaped(&link.name)), number(of)?))
            })
        };
        let capacity = of(|class| class.capacity.map(u64::from));
        page.many(
            "link_capacity_kbps",
            "gauge",
            "What calls may take of a link, each way.",
            "link",
            capacity,
        );
        let reserved = of(|class| Some(class.reserved));
        page.many("link_reserved_kbps", "gauge", "What calls have reserved of it.", "link", reserved);
        let refused = of(|class| Some(class.refused));
        page.many(
            "link_refused_total",
            "counter",
            "Calls refused for want of audio, or left without their video.",
            "link",
            refused,
        );
    }

    fn lease_metrics(&self, page: &mut Page) {
        let leases = self.lease_status();
        let of = |number: fn(&crate::status::LeaseStatus) -> u64| {
            leases.iter().map(move |lease| (lease.class.as_str(), number(lease))).collect::<Vec<_>>()
        };
        page.many("leased_ports", "gauge", "Media ports in use.", "class", of(|lease| lease.leased as u64));
        page.many(
            "leases_refused_total",
            "counter",
            "Leases refused: the range ran out.",
            "class",
            of(|lease| lease.refused),
        );
    }
}
