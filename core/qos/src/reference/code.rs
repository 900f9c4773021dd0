//! Numbers of event logs: decimal with a sign or without, hexadecimal; as HRESULT ([MS-ERREF] 2.1), Win32 code,
//! Winsock error, or event of the Windows QoS policies.

use serde::Serialize;

/// A number that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Code {
    /// What it is without the wrapping of an HRESULT.
    pub number: u32,
    /// Who defines it.
    pub layer: Layer,
    /// Its symbol.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// Who defines a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Windows sockets.
    Winsock,
    /// Windows.
    Win32,
    /// COM, RPC and the like: whole HRESULTs.
    Hresult,
    /// Events of policy-based QoS in the system log of Windows.
    QosEvent,
    /// The security package of TLS and Kerberos: whole HRESULTs.
    Security,
}

/// A number in every spelling, with what it means if it is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Decoded {
    /// As a signed number, as event logs print it.
    pub signed: i32,
    /// As an unsigned number.
    pub unsigned: u32,
    /// `0x80072740`.
    pub hex: String,
    /// As an HRESULT: whether it says failure, the facility, the code inside.
    pub hresult: Option<Hresult>,
    /// What it means.
    pub known: Option<Code>,
}

/// The parts of an HRESULT.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Hresult {
    /// Who the code belongs to: 7 is Win32.
    pub facility: u16,
    /// The name of the facility, if it is a usual one.
    pub facility_name: Option<&'static str>,
    /// The code of that facility.
    pub code: u16,
}

use Layer::{Hresult as Whole, QosEvent, Security, Win32, Winsock};

macro_rules! codes {
    ($($number:literal $layer:ident $name:literal $meaning:literal; $fix:literal;)*) => {
        const CODES: &[Code] = &[$(Code {
            number: $number, layer: $layer, name: $name, meaning: $meaning, fix: $fix,
        }),*];
    };
}

codes! {
    2 Win32 "ERROR_FILE_NOT_FOUND" "A file is not there."; "see which file the event names, and whether the installation is whole";
    5 Win32 "ERROR_ACCESS_DENIED" "The account may not do that."; "see which account the service runs as, and its groups and rights";
    1053 Win32 "ERROR_SERVICE_REQUEST_TIMEOUT" "A service did not start in time."; "see earlier events of the service; slow disks and unreachable revocation lists are usual";
    1067 Win32 "ERROR_PROCESS_ABORTED" "A service ended by itself."; "see earlier events of the service: this one is only the consequence";
    1068 Win32 "ERROR_SERVICE_DEPENDENCY_FAIL" "A service that it needs does not run."; "start that service, and see why it did not";
    1722 Win32 "RPC_S_SERVER_UNAVAILABLE" "The other server does not answer RPC."; "see whether it runs, and whether TCP 135 and the RPC ports pass";
    10004 Winsock "WSAEINTR" "A call was interrupted."; "try again; a service that stops is the usual reason";
    10013 Winsock "WSAEACCES" "The port may not be used: a firewall, or somebody holds it exclusively."; "see who holds the port: `netstat -abn`; and which ranges are reserved: `netsh int ipv4 show excludedportrange tcp`";
    10024 Winsock "WSAEMFILE" "Too many sockets are open."; "find who leaks them: `netstat -abn`";
    10048 Winsock "WSAEADDRINUSE" "Another program holds the address and port: a service that cannot listen does not start."; "find who holds it: `netstat -abn` on Windows, `ss -lptn` on Linux; stop it, or give one of the two another port or address";
    10049 Winsock "WSAEADDRNOTAVAIL" "The address is none of this machine."; "compare the addresses of the machine with those in the topology";
    10050 Winsock "WSAENETDOWN" "The network is down."; "see link and driver of the network card";
    10051 Winsock "WSAENETUNREACH" "There is no route to the network."; "see gateway and routes: an Edge needs static routes to the inner networks";
    10053 Winsock "WSAECONNABORTED" "This machine ended the connection."; "see local firewalls, virus scanners and time limits";
    10054 Winsock "WSAECONNRESET" "The other side ended the connection at once."; "see its log; during TLS it mostly refuses the certificate";
    10055 Winsock "WSAENOBUFS" "No buffers or no ports are left."; "count connections and leaks: `netstat -abn`; see the dynamic port range";
    10060 Winsock "WSAETIMEDOUT" "The other side does not answer."; "a firewall drops it or the host is off: test the port with `carillon probe`, the way with `carillon trace`";
    10061 Winsock "WSAECONNREFUSED" "The host is there, and nobody listens on the port."; "see whether the service runs and listens on this address: `netstat -abn`";
    10065 Winsock "WSAEHOSTUNREACH" "There is no way to the host."; "see routes, and whether the host is on";
    11001 Winsock "WSAHOST_NOT_FOUND" "The name is not known."; "see spelling and DNS: `nslookup NAME`";
    11002 Winsock "WSATRY_AGAIN" "The name server did not answer."; "see whether DNS servers are reached: UDP and TCP 53";
    11004 Winsock "WSANO_DATA" "The name is known, but has no address of that kind."; "see the records of the name: `nslookup -type=ANY NAME`";
    16500 QosEvent "computer QoS policies refreshed, unchanged" "The policies of the computer were read again and are the same."; "nothing; if a new policy was expected, see where it is linked: `gpresult /h report.html`";
    16501 QosEvent "computer QoS policies changed" "New policies of the computer hold."; "nothing: check marks with `carillon verify` on a capture";
    16502 QosEvent "user QoS policies refreshed, unchanged" "The policies of the user were read again and are the same."; "nothing; if a new policy was expected, see where it is linked: `gpresult /h report.html`";
    16503 QosEvent "user QoS policies changed" "New policies of the user hold."; "nothing: check marks with `carillon verify` on a capture";
    16504 QosEvent "inbound TCP throughput level not configured" "No policy sets how large receive windows may grow; Windows' own setting holds."; "nothing: it has nothing to do with marks";
    16505 QosEvent "inbound TCP throughput level 0" "A policy keeps receive windows at the least (64 KB): Tcp Autotuning Level `Off`."; "nothing, if that was meant; it has nothing to do with marks, and slows downloads over long links";
    16506 QosEvent "inbound TCP throughput level 1" "A policy keeps receive windows small (256 KB): Tcp Autotuning Level `Highly Restricted`."; "nothing, if that was meant; it has nothing to do with marks";
    16507 QosEvent "inbound TCP throughput level 2" "A policy keeps receive windows below the largest (1 MB): Tcp Autotuning Level `Restricted`."; "nothing, if that was meant; it has nothing to do with marks";
    16508 QosEvent "inbound TCP throughput level 3" "A policy lets receive windows grow to the largest (16 MB): Tcp Autotuning Level `Normal`."; "nothing: it has nothing to do with marks";
    16509 QosEvent "marking override not configured" "Marks that programs ask for are treated as Windows does by itself."; "nothing, if policies mark";
    16510 QosEvent "marking override: ignored" "Marks that programs ask for are set to 0."; "policies still mark; allow requests only if programs should mark themselves";
    16511 QosEvent "marking override: allowed" "Marks that programs ask for are kept."; "policies still go before";
    16512 QosEvent "network location awareness is off" "Policies hold on every interface, not only in the domain's network."; "nothing: machines outside a domain need it so";
    16602 QosEvent "computer QoS policy skipped: version" "A policy has another version than 1.0 and is not used."; "write `Version` as the text 1.0";
    16603 QosEvent "user QoS policy skipped: version" "A policy has another version than 1.0 and is not used."; "write `Version` as the text 1.0";
    16604 QosEvent "computer QoS policy skipped: nothing to do" "A policy has neither a DSCP value nor a throttle rate and is not used."; "set at least one of the two";
    16605 QosEvent "user QoS policy skipped: nothing to do" "A policy has neither a DSCP value nor a throttle rate and is not used."; "set at least one of the two";
    16606 QosEvent "too many computer QoS policies" "Not all policies are used."; "remove policies, or join their port ranges";
    16607 QosEvent "too many user QoS policies" "Not all policies are used."; "remove policies, or join their port ranges";
    16608 QosEvent "computer QoS policies may conflict" "Two policies fit the same packets; only one is used."; "make the conditions differ: program before addresses and ports, more conditions before fewer";
    16609 QosEvent "user QoS policies may conflict" "Two policies fit the same packets; only one is used."; "make the conditions differ: program before addresses and ports, more conditions before fewer";
    16610 QosEvent "computer QoS policy skipped: application" "The application of a policy cannot be resolved and the policy is not used."; "name a file that ends in .exe, without symbolic links and mapped drives";
    16611 QosEvent "user QoS policy skipped: application" "The application of a policy cannot be resolved and the policy is not used."; "name a file that ends in .exe, without symbolic links and mapped drives";
    16700 QosEvent "computer QoS policies not refreshed" "Reading the policies of the computer failed."; "see the events of group policy before it, then `gpupdate /force`";
    16701 QosEvent "user QoS policies not refreshed" "Reading the policies of the user failed."; "see the events of group policy before it, then `gpupdate /force`";
    16702 QosEvent "computer QoS policies not opened" "The key under which the policies of the computer lie cannot be opened."; "see whether `HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\QoS` is there and may be read by the system; the error code is in the event";
    16703 QosEvent "user QoS policies not opened" "The key under which the policies of the user lie cannot be opened."; "see whether `HKCU\\SOFTWARE\\Policies\\Microsoft\\Windows\\QoS` is there and may be read by the system; the error code is in the event";
    16704 QosEvent "computer QoS policy skipped: name too long" "The name of a policy is longer than allowed; the event gives its number in the key, not its name."; "shorten the name: `reg query` on the key of the policies lists them in that order";
    16705 QosEvent "user QoS policy skipped: name too long" "The name of a policy is longer than allowed; the event gives its number in the key, not its name."; "shorten the name: `reg query` on the key of the policies lists them in that order";
    16706 QosEvent "computer QoS policy skipped: no name" "A policy has an empty name; the event gives its number in the key."; "remove it: `reg query` on the key of the policies lists them in that order";
    16707 QosEvent "user QoS policy skipped: no name" "A policy has an empty name; the event gives its number in the key."; "remove it: `reg query` on the key of the policies lists them in that order";
    16708 QosEvent "computer QoS policy not opened" "The key of one policy cannot be opened; the event gives its number."; "see the rights on that key";
    16709 QosEvent "user QoS policy not opened" "The key of one policy cannot be opened; the event gives its number."; "see the rights on that key";
    16710 QosEvent "computer QoS policy skipped: field" "A value of a policy is missing or not valid; the event names the value and the policy, which is not used."; "write all eleven values as text: `carillon plan export windows-reg` does; `carillon plan check` on the exported key names the bad one";
    16711 QosEvent "user QoS policy skipped: field" "A value of a policy is missing or not valid; the event names the value and the policy, which is not used."; "write all eleven values as text: `carillon plan export windows-reg` does; `carillon plan check` on the exported key names the bad one";
    0x8000_4005 Whole "E_FAIL" "Something failed, without a reason."; "see the events before it";
    0x8007_0005 Whole "E_ACCESSDENIED" "The account may not do that."; "see which account the service runs as, and its groups and rights";
    0x8007_000e Whole "E_OUTOFMEMORY" "No memory is left."; "see which process holds it";
    0x8007_0057 Whole "E_INVALIDARG" "A value is not allowed."; "see which setting was changed last";
    0x8009_030c Security "SEC_E_LOGON_DENIED" "Name or password are wrong."; "see account, password and clock";
    0x8009_0322 Security "SEC_E_WRONG_PRINCIPAL" "The certificate or account is of another name."; "compare the name that was called with the subject and the alternative names of the certificate";
    0x8009_0325 Security "SEC_E_UNTRUSTED_ROOT" "The certificate is from an authority that is not trusted."; "install the root certificate on the machine that refuses";
    0x8009_0328 Security "SEC_E_CERT_EXPIRED" "The certificate has expired."; "renew and assign it";
    0x800b_0109 Security "CERT_E_UNTRUSTEDROOT" "The chain ends at a root that is not trusted."; "install the root certificate on the machine that refuses";
    0x8009_2013 Security "CRYPT_E_REVOCATION_OFFLINE" "The list of revoked certificates cannot be fetched."; "let the server reach the address in the certificate, mostly TCP 80";
}

/// [MS-ERREF] 2.1: the facilities that appear here.
const FACILITIES: [(u16, &str); 7] = [
    (0, "null"),
    (1, "RPC"),
    (2, "dispatch"),
    (3, "storage"),
    (7, "Win32"),
    (9, "security"),
    (11, "certificates"),
];
const WIN32: u16 = 7;

/// Reads a number in any spelling: `-2147014848`, `2147952448`, `0x80072740`, `80072740h`, `10048`, with the minus of
/// typesetters too. `None` if it is no number of 32 bits.
pub fn decode(text: &str) -> Option<Decoded> {
    let number = read(text.trim())?;
    let parts = (number >> 31 == 1).then(|| {
        let (facility, code) = ((number >> 16 & 0x7ff) as u16, number as u16);
        let facility_name = FACILITIES.iter().find(|(known, _)| *known == facility).map(|(_, name)| *name);
        Hresult { facility, facility_name, code }
    });
    let inside = parts.filter(|parts| parts.facility == WIN32).map(|parts| u32::from(parts.code));
    let find = |number: u32| CODES.iter().find(|code| code.number == number).copied();
    // An event of the QoS policies is never wrapped.
    let known = find(number).or_else(|| find(inside?).filter(|code| code.layer != QosEvent));
    Some(Decoded {
        signed: number as i32,
        unsigned: number,
        hex: format!("0x{number:08X}"),
        hresult: parts,
        known,
    })
}

/// A number of 32 bits, or the symbol of one.
fn read(text: &str) -> Option<u32> {
    let text = text.replace(['\u{2212}', '\u{2013}'], "-");
    let word = text.to_ascii_lowercase();
    let digits = |digits: &str, base| {
        digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric())
            .then(|| u32::from_str_radix(digits, base).ok())?
    };
    if let Some(code) = CODES.iter().find(|code| code.name.eq_ignore_ascii_case(&word)) {
        return Some(code.number);
    }
    if let Some(rest) = word.strip_prefix("0x").or_else(|| word.strip_suffix('h')) {
        return digits(rest, 16);
    }
    match word.strip_prefix('-') {
        Some(rest) => i32::try_from(-i64::from(digits(rest, 10)?)).ok().map(|number| number as u32),
        // Eight digits that begin with 8 are how an HRESULT is copied without its 0x.
        None if word.len() == 8 && word.starts_with('8') => digits(&word, 16),
        None => digits(&word, 10),
    }
}

impl Code {
    /// The symbols of all codes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CODES.iter().map(|code| code.name)
    }
}

impl Layer {
    /// Who defines it, in words.
    pub fn words(self) -> &'static str {
        match self {
            Winsock => "Windows sockets",
            Win32 => "Windows",
            Whole => "COM",
            QosEvent => "policy-based QoS of Windows",
            Security => "security packages of Windows",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_edge_that_does_not_start_means_that_its_port_is_taken() {
        for spelling in [
            "-2147014848",
            "\u{2212}2147014848",
            "2147952448",
            "0x80072740",
            "80072740",
            "80072740h",
            "10048",
            "wsaeaddrinuse",
        ] {
            let decoded = decode(spelling).unwrap();
            assert_eq!(
                decoded.known.map(|code| (code.number, code.name)),
                Some((10048, "WSAEADDRINUSE")),
                "{spelling}"
            );
        }
        let decoded = decode("-2147014848").unwrap();
        assert_eq!(
            (decoded.signed, decoded.unsigned, decoded.hex.as_str()),
            (-2_147_014_848, 2_147_952_448, "0x80072740")
        );
        assert_eq!(decoded.hresult, Some(Hresult { facility: 7, facility_name: Some("Win32"), code: 10048 }));
    }

    #[test]
    fn whole_codes_go_before_what_is_inside() {
        let name = |text| decode(text).and_then(|decoded| decoded.known).map(|code| code.name);
        assert_eq!(name("0x80070005"), Some("E_ACCESSDENIED"));
        assert_eq!(name("5"), Some("ERROR_ACCESS_DENIED"));
        assert_eq!(name("0x8007274D"), Some("WSAECONNREFUSED"));
        assert_eq!(name("0x800B0109"), Some("CERT_E_UNTRUSTEDROOT"));
        assert_eq!(name("16602"), Some("computer QoS policy skipped: version"));
        assert_eq!(name("0x800740DA"), None, "an event number inside an HRESULT is none");
    }

    #[test]
    fn unknown_numbers_are_taken_apart_and_what_is_none_is_refused() {
        let decoded = decode("0xC3E93F6B").unwrap();
        assert_eq!((decoded.known, decoded.hresult.map(|parts| parts.facility)), (None, Some(0x3e9)));
        for text in ["", "-", "0x", "0x1234567890", "-2147483649", "4294967296", "+5", "10 048", "banana"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn every_code_is_there_once() {
        let mut numbers: Vec<u32> = CODES.iter().map(|code| code.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), CODES.len());
        assert!(CODES.iter().all(|code| code.meaning.ends_with('.') && !code.fix.ends_with('.')));
    }
}
