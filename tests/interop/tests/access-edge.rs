//! The Access Edge with other people's programs: baresip signs in and calls through it from behind a NAT; Kamailio and another
//! Carillon are partners; and who may not pass does not.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use carillon_interop::Result;
use carillon_interop::capture::Capture;
use carillon_interop::names::Names;
use carillon_interop::network::{Host, Network};
use carillon_interop::phones::{Account, baresip::Baresip};
use carillon_interop::process::{Process, run, wait_until};
use carillon_interop::recording::Point;
use carillon_interop::scenario::possible;
use carillon_interop::servers::access::{CLIENTS, Certificates, Domain, Server, TLS};
use carillon_interop::servers::kamailio;
use carillon_interop::site::DOMAIN;
use carillon_interop::tshark;

const LIMIT: Duration = Duration::from_secs(20);
const USERS: &[(&str, &str)] = &[("alice", "wonderland-7"), ("bob", "builder-8")];
/// The partner's site is as far outside as alice.
const PARTNER: &str = "partner.test";
/// Where the DNS says that its Edge is.
const RECORDS: [&str; 2] =
    ["_sipfederationtls._tcp.partner.test=10:1:5061:gate.partner.test", "gate.partner.test=10.20.1.10"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::from([0; 4]))
}

/// Hosts without servers, if these programs are there.
fn place(name: &str, programs: &[&str]) -> Result<Option<(tempfile::TempDir, Network)>> {
    if !possible(name, &[&["nft", "python3", "openssl"], programs].concat())? {
        return Ok(None);
    }
    Ok(Some((tempfile::tempdir()?, Network::with_relay()?)))
}

/// alice outside; a host with an Edge that forwards no TCP; bob inside, beside the Front End.
struct Stage {
    network: Network,
    certificates: Certificates,
    front: Server,
    edge: Server,
    _names: Names,
    work: tempfile::TempDir,
}

impl Stage {
    fn new(name: &str, programs: &[&str], partners: &[(&str, IpAddr)]) -> Result<Option<Stage>> {
        Stage::with("", name, programs, partners)
    }

    /// With more lines at the beginning of the Edge's configuration.
    fn with(more: &str, name: &str, programs: &[&str], partners: &[(&str, IpAddr)]) -> Result<Option<Stage>> {
        match place(name, programs)? {
            Some((work, network)) => Stage::on(work, network, more, partners).map(Some),
            None => Ok(None),
        }
    }

    /// Starts the servers.
    fn on(
        work: tempfile::TempDir,
        network: Network,
        more: &str,
        partners: &[(&str, IpAddr)],
    ) -> Result<Stage> {
        let host = network.relay.as_ref().ok_or("no host between")?;
        host.run("ip", &["addr", "add", "10.20.1.2/24", "dev", "v1"])?;
        // Media goes straight, SIP cannot.
        host.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])?;
        host.run("nft", &["add table inet wall"])?;
        host.run("nft", &["add chain inet wall way { type filter hook forward priority 0; }"])?;
        host.run("nft", &["add rule inet wall way meta l4proto tcp drop"])?;
        let certificates = Certificates::apart(&work.path().join("authority"))?;
        let domain = Domain {
            name: DOMAIN,
            front: network.bob.v4().into(),
            internal: ip("10.20.2.1"),
            external: ip("10.20.1.1"),
            access: ip("10.20.1.2"),
            inside: &[],
            users: USERS,
            partners,
        };
        let names = Names::start(host, "10.20.1.1", &RECORDS, &[host], work.path())?;
        let front = domain.front_end(&network.bob, &certificates, work.path())?;
        let more = format!("service.drain = 1\n{more}");
        let edge = domain.edge_of(&[domain], &more, host, &certificates, work.path())?;
        Ok(Stage { network, certificates, front, edge, _names: names, work })
    }

    fn account(&self, user: usize, server: IpAddr, port: u16) -> Account {
        let (name, password) = USERS[user];
        let inside = server == IpAddr::from(self.network.bob.v4());
        let side = if inside { self.certificates.inside() } else { &self.certificates };
        Account {
            user: name.to_owned(),
            password: password.to_owned(),
            server: (server, port).into(),
            transport: "tls",
            ca: side.ca(),
            codec: "PCMU/8000/1",
            srtp: false,
            ice: false,
            ports: [50000, 50010][user],
        }
    }

    fn registrations(&self) -> Result<u64> {
        self.front.status()?["registrations"].as_u64().ok_or_else(|| "no number of registrations".into())
    }

    /// The first line and the Warning of what is answered over TLS to a request; nothing if the connection is refused.
    fn ask(&self, port: u16, request: &str, certificate: Option<&str>) -> Result<String> {
        ask(&self.network.alice, (ip("10.20.1.2"), port), request, certificate, &self.certificates)
    }
}

const ASK: &str = "
import socket, ssl, sys
context = ssl._create_unverified_context()
if sys.argv[4]:
    context.load_cert_chain(sys.argv[4], sys.argv[5])
try:
    plain = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
    secure = context.wrap_socket(plain)
    secure.settimeout(5)
    secure.sendall(sys.argv[3].encode())
    text = secure.recv(65536).decode()
    lines = text.split('\\r\\n')
    print(lines[0], *[line for line in lines if line.startswith('Warning')], sep='; ')
except (OSError, ssl.SSLError):
    print('')
";

fn ask(
    from: &Host,
    (address, port): (IpAddr, u16),
    request: &str,
    certificate: Option<&str>,
    certificates: &Certificates,
) -> Result<String> {
    let files = certificate.map(|name| certificates.issue(&[name], &[])).transpose()?;
    let file = |file: Option<&Path>| file.map_or(String::new(), |file| file.to_string_lossy().into_owned());
    let (chain, key) = files.map_or((None, None), |(chain, key)| (Some(chain), Some(key)));
    let (chain, key) = (file(chain.as_deref()), file(key.as_deref()));
    let (address, port) = (address.to_string(), port.to_string());
    let printed = from.run("python3", &["-c", ASK, &address, &port, request, &chain, &key])?;
    Ok(printed.trim().trim_end_matches(';').to_owned())
}

fn request(method: &str, uri: &str, from: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS 10.20.1.10:5061;branch=z9hG4bKask;rport\r\nMax-Forwards: 70\r\n\
         From: <{from}>;tag=ask\r\nTo: <{uri}>\r\nCall-ID: ask\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn baresip_signs_in_from_behind_a_nat_and_calls_go_both_ways() -> Result<()> {
    let programs = ["baresip", "tshark", "tcpdump"];
    let Some((work, network)) = place("access-edge", &programs)? else { return Ok(()) };
    // From before the Edge starts: its first packet is seen.
    let host = network.relay.as_ref().ok_or("no Edge")?;
    let capture = |interface: &str| {
        let folder = work.path().join(interface);
        std::fs::create_dir(&folder)?;
        Capture::on(host, &Point { interface: interface.to_owned(), ..Point::link(interface) }, &folder)
    };
    let captures = [capture("v2")?, capture("v1")?];
    let stage = Stage::on(work, network, "", &[])?;
    let (alice, bob) = (&stage.network.alice, &stage.network.bob);
    // What alice says comes from another address than she thinks.
    alice.run("ip", &["addr", "add", "10.20.1.11/24", "dev", "v0"])?;
    alice.run("nft", &["add table ip nat"])?;
    alice.run("nft", &["add chain ip nat post { type nat hook postrouting priority 100; }"])?;
    alice.run("nft", &["add rule ip nat post ip protocol tcp snat to 10.20.1.11"])?;
    let outer = stage.account(0, ip("10.20.1.2"), CLIENTS);
    let inner = stage.account(1, bob.v4().into(), TLS);
    let mut a = Baresip::sign_in(alice, &outer, stage.work.path())?;
    let mut b = Baresip::sign_in(bob, &inner, stage.work.path())?;
    assert_eq!((stage.registrations()?, stage.edge.access("/signed_in")?), (2, 1));
    a.call(&inner.address())?;
    b.process.wait_for("Call established", LIMIT)?;
    let before = stage.edge.access("/forwarded/in")?;
    a.say("/hold")?;
    wait_until("a re-INVITE that has been acknowledged", LIMIT, || {
        Ok(stage.edge.access("/forwarded/in")? >= before + 2)
    })?;
    a.hang_up()?;
    // So baresip says that the other side has hung up.
    b.process.wait_for("session closed", LIMIT)?;
    drop(b);
    // The other way, with a phone that has not called yet, since it shows what it logs once.
    let mut b = Baresip::sign_in(bob, &inner, stage.work.path())?;
    b.call(&outer.address())?;
    b.hang_up()?;
    wait_until("the end of the call", LIMIT, || Ok(stage.front.status()?["calls"] == 0))?;
    assert_eq!(stage.edge.status()?["access"]["refused"], serde_json::json!({}));
    marks(captures)
}

/// Towards the inside SIP is marked CS3, towards the outside not at all; and the Edge connects to the Front End and to nobody else, inside
/// or outside, from whatever address (row 116).
fn marks(captures: [Capture; 2]) -> Result<()> {
    let sides = [("10.20.2.1", 24, &["10.20.2.20:5061"][..]), ("10.20.1.2", 0, &[])];
    for (capture, (own, mark, servers)) in captures.into_iter().zip(sides) {
        let file = capture.stop()?;
        assert_eq!(connected_to(&file)?, BTreeSet::from_iter(servers.iter().map(|place| place.to_string())));
        let mut packets = 0;
        for (flow, marks) in tshark::marks(&file, &[])? {
            if flow.tcp && flow.source.ip() == ip(own) {
                assert!(marks.keys().eq([&mark]), "{flow:?}: {marks:?}, not {mark}");
                packets += marks.values().sum::<u64>();
            }
        }
        assert!(packets > 10, "only {packets} packets from {own}");
    }
    Ok(())
}

/// Where anybody but alice and bob has begun connections to, on this link.
fn connected_to(capture: &Path) -> Result<BTreeSet<String>> {
    let begins = "tcp.flags.syn == 1 && tcp.flags.ack == 0 \
                  && !(ip.src in {10.20.1.10, 10.20.1.11, 10.20.2.20} || ipv6.src in {fd00:20:1::a, fd00:20:2::14})";
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(capture).args(["-Y", begins, "-T", "fields", "-E", "separator=:"]);
    let places = run(tshark.args(["-e", "ip.dst", "-e", "ipv6.dst", "-e", "tcp.dstport"]))?;
    Ok(places.lines().map(|place| place.trim().replace("::", ":")).collect())
}

#[test]
fn an_edge_for_messages_only_has_no_port_of_media_and_refuses_calls_before_anybody_rings() -> Result<()> {
    let partners = [(PARTNER, ip("10.20.1.10"))];
    let profile = "profile = \"im-only\"\n";
    let Some(stage) = Stage::with(profile, "access-edge-messages", &["baresip"], &partners)? else {
        return Ok(());
    };
    let rows = stage.edge.ports()?;
    assert!(rows.len() >= 3, "{rows:?}");
    assert!(rows.iter().all(|row| row["service"] == "Access Edge" && row["transport"] == "tcp"), "{rows:?}");
    // Who is outside signs in as ever, and hears why a call is none.
    let outer = stage.account(0, ip("10.20.1.2"), CLIENTS);
    let mut alice = Baresip::sign_in(&stage.network.alice, &outer, stage.work.path())?;
    alice.say("/dial sip:bob@carillon.test")?;
    alice.process.wait_for("488 Not Acceptable Here", LIMIT)?;
    let (bob, from) = ("sip:bob@carillon.test", "sip:x@partner.test");
    let with = |media: &str| {
        let body =
            format!("v=0\r\no=- 1 1 IN IP4 10.20.1.10\r\ns=-\r\nc=IN IP4 10.20.1.10\r\nt=0 0\r\n{media}\r\n");
        let length = format!("Content-Type: application/sdp\r\nContent-Length: {}", body.len());
        request("INVITE", bob, from).replace("Content-Length: 0", &length) + &body
    };
    let unavailable = "SIP/2.0 480 Temporarily Unavailable";
    let refused = "SIP/2.0 488 Not Acceptable Here; \
                   Warning: 304 edge.carillon.test \"this Edge carries messages and presence, and no media\"";
    for (asked, expected) in [
        (request("MESSAGE", bob, from), unavailable),
        (with("m=message 2855 TCP/MSRP *"), unavailable),
        (with("m=audio 20000 RTP/AVP 0"), refused),
    ] {
        assert_eq!(stage.ask(TLS, &asked, Some(PARTNER))?, expected, "{asked}");
    }
    Ok(())
}

#[test]
fn who_may_not_pass_does_not() -> Result<()> {
    let partners = [(PARTNER, ip("10.20.1.10"))];
    let Some(stage) = Stage::new("access-edge", &[], &partners)? else { return Ok(()) };
    let (alice, bob) = ("sip:alice@carillon.test", "sip:bob@carillon.test");
    let forbidden = |why: &str| format!("SIP/2.0 403 Forbidden; Warning: 399 edge.carillon.test \"{why}\"");
    let elsewhere = forbidden("requests are not passed on to that domain");
    let cases = [
        (CLIENTS, None, "INVITE", "sip:x@evil.test", alice, elsewhere.clone()),
        (CLIENTS, None, "INVITE", "sip:x@partner.test", alice, elsewhere.clone()),
        (CLIENTS, None, "INVITE", bob, alice, forbidden("sign in first")),
        (
            CLIENTS,
            None,
            "INVITE",
            bob,
            "sip:x@partner.test",
            forbidden("From is not of a domain that is served here"),
        ),
        (
            TLS,
            None,
            "INVITE",
            bob,
            "sip:x@partner.test",
            forbidden("From is not of a domain that is served here"),
        ),
        (
            TLS,
            Some("evil.test"),
            "INVITE",
            bob,
            "sip:x@evil.test",
            forbidden("From is not of a domain that is served here"),
        ),
        (TLS, Some(PARTNER), "INVITE", bob, alice, forbidden("From is not of a domain of your certificate")),
        (TLS, Some(PARTNER), "INVITE", "sip:x@evil.test", "sip:x@partner.test", elsewhere.clone()),
        (
            TLS,
            Some(PARTNER),
            "MESSAGE",
            bob,
            "sip:x@partner.test",
            "SIP/2.0 480 Temporarily Unavailable".to_owned(),
        ),
        (CLIENTS, None, "REGISTER", "sip:carillon.test", alice, "SIP/2.0 401 Unauthorized".to_owned()),
    ];
    for (port, certificate, method, uri, from, expected) in cases {
        let answered = stage.ask(port, &request(method, uri, from), certificate)?;
        assert_eq!(answered, expected, "{method} {uri} from {from} with {certificate:?} at {port}");
    }
    // A certificate that somebody else made is none, nor one of the inside: the connection ends before a word is heard.
    let foreign = Certificates::new(&stage.work.path().join("foreign"))?;
    let invite = request("INVITE", bob, "sip:x@partner.test");
    for other in [&foreign, stage.certificates.inside()] {
        let target = (ip("10.20.1.2"), TLS);
        assert_eq!(ask(&stage.network.alice, target, &invite, Some(PARTNER), other)?, "");
    }
    // Towards the inside nobody is heard but the Front End, by a certificate of the inside.
    let options = request("OPTIONS", "sip:carillon.test", bob);
    let refused = forbidden("nobody but the servers of the inside speaks here");
    for (name, by, expected) in [
        (PARTNER, stage.certificates.inside(), &*refused),
        ("front.carillon.test", &foreign, ""),
        ("front.carillon.test", &stage.certificates, ""),
        ("front.carillon.test", stage.certificates.inside(), "SIP/2.0 200 OK"),
    ] {
        let heard = ask(&stage.network.bob, (ip("10.20.2.1"), TLS), &options, Some(name), by)?;
        assert_eq!(heard, expected, "{name}");
    }
    shows_each_side_its_own_certificate(&stage)
}

/// Who trusts one authority only believes the Edge on one side only, by openssl.
fn shows_each_side_its_own_certificate(stage: &Stage) -> Result<()> {
    let (outside, inside) = (&stage.certificates, stage.certificates.inside());
    for (host, at, by, is_its_own) in [
        (&stage.network.alice, "10.20.1.2:443", outside, true),
        (&stage.network.alice, "10.20.1.2:443", inside, false),
        (&stage.network.alice, "10.20.1.2:5061", outside, true),
        (&stage.network.alice, "10.20.1.2:5061", inside, false),
        (&stage.network.bob, "10.20.2.1:5061", outside, false),
        (&stage.network.bob, "10.20.2.1:5061", inside, true),
    ] {
        let mut client = host.command("openssl");
        client.args(["s_client", "-brief", "-verify_return_error", "-connect", at, "-CAfile"]).arg(by.ca());
        client.args(["-no-CApath", "-no-CAstore"]).stdin(Stdio::null());
        let output = client.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let believed = said.contains("Verification: OK");
        assert_eq!(believed, is_its_own, "{at}: {said}");
        assert!(believed || said.contains("certificate verify failed"), "{at}: {said}");
    }
    Ok(())
}

/// `carillon call` for a user of any domain, over UDP at a Front End.
fn phone(
    host: &Host,
    server: &str,
    user: &str,
    password: &str,
    more: &[&str],
    work: &Path,
) -> Result<Process> {
    let secret = work.join(format!("{user}.password"));
    std::fs::write(&secret, password)?;
    let mut command = host.command(&carillon_interop::verdict::program()?.to_string_lossy());
    command.args(["call", "--server", server, "--transport", "udp", "--user", user, "--srtp", "off"]);
    command.arg("--password-file").arg(&secret).args(more);
    Process::start(&mut command, &work.join(format!("{user}.log")))
}

#[test]
fn two_sites_call_each_other_until_one_goes_silent() -> Result<()> {
    // Ours finds the other by DNS.
    let partners = [(PARTNER, ip("0.0.0.0"))];
    let Some(mut stage) = Stage::new("access-edge", &[], &partners)? else { return Ok(()) };
    let work = stage.work.path().to_owned();
    let (there, work) = (&stage.network.alice, work.as_path());
    for own in ["10.20.1.12/24", "10.20.1.13/24", "10.20.1.14/24"] {
        there.run("ip", &["addr", "add", own, "dev", "v0"])?;
    }
    let other = Domain {
        name: PARTNER,
        front: ip("10.20.1.12"),
        internal: ip("10.20.1.13"),
        external: ip("10.20.1.14"),
        access: ip("10.20.1.10"),
        inside: &[],
        users: &[("ann", "partner-secret-9")],
        partners: &[(DOMAIN, ip("10.20.1.2"))],
    };
    let their_front = other.front_end(there, &stage.certificates, work)?;
    let mut edge = other.edge(there, &stage.certificates, work)?;
    for (edge, domain) in [(&stage.edge, PARTNER), (&edge, DOMAIN)] {
        wait_until("federation", LIMIT, || Ok(edge.partner(domain)?["state"] == "works"))?;
    }
    let front = stage.network.bob.v4().to_string();
    let take = ["--answer", "--once", "--ring", "0"];
    for (caller_inside, to) in [(true, "ann@partner.test"), (false, "bob@carillon.test")] {
        let call = ["--to", to, "--duration", "2"];
        let (own, theirs) = if caller_inside { (&call[..], &take[..]) } else { (&take[..], &call[..]) };
        let mut callee_first = Vec::new();
        let ours = || {
            phone(&stage.network.bob, &format!("{front}:5060"), "bob@carillon.test", "builder-8", own, work)
        };
        let partners =
            || phone(there, "10.20.1.12:5060", "ann@partner.test", "partner-secret-9", theirs, work);
        let registered = |server: &Server| Ok(server.status()?["registrations"].as_u64() == Some(1));
        match caller_inside {
            true => {
                callee_first.push(partners()?);
                wait_until("ann", LIMIT, || registered(&their_front))?;
                callee_first.push(ours()?);
            }
            false => {
                callee_first.push(ours()?);
                wait_until("bob", LIMIT, || registered(&stage.front))?;
                callee_first.push(partners()?);
            }
        }
        for mut phone in callee_first {
            phone
                .wait_for_success(LIMIT)
                .map_err(|error| format!("to {to}: {error}\n{}", stage.edge.printed()))?;
        }
    }
    // Our inside goes: the partner hears from us, and is not heard.
    stage.front.kill()?;
    wait_until(
        "an alarm",
        Duration::from_secs(60),
        || Ok(edge.partner(DOMAIN)?["state"] == "incoming-only"),
    )?;
    let warned = edge.partner(DOMAIN)?;
    assert!(warned["fix"].as_str().is_some_and(|fix| fix.contains("5061")), "{warned}");
    assert!(edge.printed().contains("ours get no answer"), "{}", edge.printed());
    assert_eq!(stage.edge.status()?["access"]["next_hops"][0]["answers"], false);
    // The partner's Edge goes: nothing passes any more, and that is told with what to do.
    edge.kill()?;
    wait_until("an alarm", Duration::from_secs(60), || {
        Ok(stage.edge.partner(PARTNER)?["state"] == "unreachable")
    })?;
    // Somebody with its certificate asks all the same: one direction only.
    let heard =
        stage.ask(TLS, &request("OPTIONS", "sip:carillon.test", "sip:partner.test"), Some(PARTNER))?;
    assert!(heard.starts_with("SIP/2.0 503 Service Unavailable; Warning: "), "{heard}");
    let partner = stage.edge.partner(PARTNER)?;
    assert_eq!(partner["state"], "incoming-only");
    Ok(())
}

const KAMAILIO: &str = "#!KAMAILIO
fork=yes
children=1
tcp_children=1
log_stderror=yes
debug=-1
auto_aliases=no
dns=no
rev_dns=no
enable_tls=yes
listen=udp:127.0.0.1:5060
listen=tls:10.20.1.10:5061
alias=\"partner.test\"
mpath=\"@MODULES@/\"
loadmodule \"tm.so\"
loadmodule \"sl.so\"
loadmodule \"rr.so\"
loadmodule \"pv.so\"
loadmodule \"maxfwd.so\"
loadmodule \"siputils.so\"
loadmodule \"textops.so\"
loadmodule \"tls.so\"
modparam(\"rr\", \"enable_double_rr\", 1)
modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")
modparam(\"tls\", \"certificate\", \"@CERTIFICATE@\")
modparam(\"tls\", \"private_key\", \"@KEY@\")
modparam(\"tls\", \"ca_list\", \"@CA@\")
modparam(\"tls\", \"verify_certificate\", 1)
modparam(\"tls\", \"require_certificate\", 1)

request_route {
  if (!mf_process_maxfwd_header(\"10\")) { sl_send_reply(\"483\", \"Too Many Hops\"); exit; }
  if (is_method(\"CANCEL\")) { if (t_check_trans()) { t_relay(); } exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method(\"ACK\")) { if (t_check_trans()) { t_relay(); } exit; }
    sl_send_reply(\"404\", \"Not here\");
    exit;
  }
  if (is_method(\"OPTIONS\") && $rU == $null) { sl_send_reply(\"200\", \"OK\"); exit; }
  record_route();
  if ($rd == \"partner.test\") { $du = \"sip:127.0.0.1:5090\"; }
  else { $du = \"sip:10.20.1.2:5061;transport=tls\"; $fs = \"tls:10.20.1.10:5061\"; }
  t_relay();
}
";

/// ann takes one call; the scenario that sipp brings forgets the route.
const CALLEE: &str = r#"<?xml version="1.0"?><scenario name="ann">
<recv request="INVITE" rrs="true"/>
<send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:ann@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=ann 1 1 IN IP4 10.20.1.10
s=-
c=IN IP4 10.20.1.10
t=0 0
m=audio 40000 RTP/AVP 0
a=rtpmap:0 PCMU/8000
]]></send>
<recv request="ACK"/>
<recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>"#;

/// From ann to bob; she says who she is, since Kamailio asks nobody.
const CALLER: &str = r#"<?xml version="1.0"?><scenario name="ann">
<send retrans="500"><![CDATA[
INVITE sip:bob@carillon.test SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:ann@partner.test>;tag=[call_number]
To: <sip:bob@carillon.test>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:ann@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=ann 1 1 IN IP4 10.20.1.10
s=-
c=IN IP4 10.20.1.10
t=0 0
m=audio 40000 RTP/AVP 0
a=rtpmap:0 PCMU/8000
]]></send>
<recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="183" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
Max-Forwards: 70
From: <sip:ann@partner.test>;tag=[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Content-Length: 0

]]></send>
<pause milliseconds="300"/>
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[routes]
Max-Forwards: 70
From: <sip:ann@partner.test>;tag=[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>"#;

#[test]
fn kamailio_is_a_partner_and_calls_go_both_ways() -> Result<()> {
    let partners = [(PARTNER, ip("10.20.1.10"))];
    let Some(stage) = Stage::new("access-edge", &["kamailio", "sipp", "baresip"], &partners)? else {
        return Ok(());
    };
    let (there, work) = (&stage.network.alice, stage.work.path());
    let (certificate, key) = stage.certificates.issue(&[PARTNER], &[ip("10.20.1.10")])?;
    let words = [
        ("CERTIFICATE", certificate.display().to_string()),
        ("KEY", key.display().to_string()),
        ("CA", stage.certificates.ca().display().to_string()),
        ("MODULES", kamailio::module_directory()?.display().to_string()),
    ];
    let fill = |text: String, (word, value): &(&str, String)| text.replace(&format!("@{word}@"), value);
    let config = work.join("kamailio.cfg");
    std::fs::write(&config, words.iter().fold(KAMAILIO.to_owned(), fill))?;
    let mut command = there.command("kamailio");
    command.arg("-f").arg(&config).args(["-m", "64", "-M", "16", "-DD", "-E"]);
    let mut partner = Process::start(&mut command, &work.join("kamailio.log"))?;
    wait_until("federation with Kamailio", LIMIT, || Ok(stage.edge.partner(PARTNER)?["state"] == "works"))
        .map_err(|error| format!("{error}: {}\n{}", stage.edge.printed(), partner.printed()))?;
    let inner = stage.account(1, stage.network.bob.v4().into(), TLS);
    let mut bob = Baresip::sign_in(&stage.network.bob, &inner, work)?;
    let mut callee = there.command("sipp");
    let scenario = work.join("callee.xml");
    std::fs::write(&scenario, CALLEE)?;
    callee.arg("-sf").arg(&scenario).args(["-i", "127.0.0.1", "-p", "5090", "-m", "1", "-nostdin"]);
    let mut callee = Process::start(&mut callee, &work.join("callee.log"))?;
    bob.call("sip:ann@partner.test").map_err(|error| format!("{error}\n{}", stage.edge.printed()))?;
    bob.hang_up()?;
    callee.wait_for_success(LIMIT)?;
    let scenario = work.join("ann.xml");
    std::fs::write(&scenario, CALLER)?;
    let mut caller = there.command("sipp");
    caller.arg("127.0.0.1:5060").arg("-sf").arg(&scenario);
    caller.args(["-i", "127.0.0.1", "-p", "5091", "-m", "1", "-nostdin", "-timeout", "20"]);
    let mut caller = Process::start(&mut caller, &work.join("caller.log"))?;
    caller.wait_for_success(LIMIT).map_err(|error| format!("{error}\n{}", stage.edge.printed()))?;
    let state = stage.edge.partner(PARTNER)?;
    assert_eq!(
        (&state["state"], &state["refused"], &state["failed"]),
        (&"works".into(), &0.into(), &0.into())
    );
    assert!(state["incoming"].as_u64() >= Some(2) && state["outgoing"].as_u64() >= Some(2), "{state}");
    partner.terminate(LIMIT)
}
