use super::*;

/// As Windows prints it, with a component above a program, a socket whose owner is not told, and connections.
const NETSTAT: &str = "\r\nActive Connections\r\n\r\n  Proto  Local Address          Foreign Address        State\r\n\
  TCP    0.0.0.0:135            0.0.0.0:0              LISTENING\r\n  RpcSs\r\n [svchost.exe]\r\n\
  TCP    0.0.0.0:445            0.0.0.0:0              LISTENING\r\n Can not obtain ownership information\r\n\
  TCP    0.0.0.0:4443           0.0.0.0:0              LISTENING\r\n [ReplicaReplicatorAgent.exe]\r\n\
  TCP    10.0.0.5:443           0.0.0.0:0              LISTENING\r\n [MediaRelaySvc.exe]\r\n\
  TCP    10.0.0.5:5061          0.0.0.0:0              LISTENING\r\n [RTCSrv.exe]\r\n\
  TCP    10.0.0.5:5061          10.0.0.20:49811        ESTABLISHED\r\n [RTCSrv.exe]\r\n\
  TCP    10.0.0.5:5061          10.0.0.21:50112        ESTABLISHED\r\n [RTCSrv.exe]\r\n\
  TCP    10.0.0.5:5062          0.0.0.0:0              LISTENING\r\n [MRASSvc.exe]\r\n\
  TCP    10.0.0.5:8057          0.0.0.0:0              LISTENING\r\n [DataProxy.exe]\r\n\
  TCP    203.0.113.5:443        0.0.0.0:0              LISTENING\r\n [RTCSrv.exe]\r\n\
  TCP    203.0.113.6:443        0.0.0.0:0              LISTENING\r\n [DataProxy.exe]\r\n\
  TCP    203.0.113.7:443        0.0.0.0:0              LISTENING\r\n [MediaRelaySvc.exe]\r\n\
  TCP    203.0.113.7:50137      0.0.0.0:0              LISTENING\r\n [MediaRelaySvc.exe]\r\n\
  TCP    [::]:4443              [::]:0                 LISTENING\r\n [ReplicaReplicatorAgent.exe]\r\n\
  TCP    [fe80::1%12]:139       [::]:0                 LISTENING\r\n Can not obtain ownership information\r\n\
  UDP    10.0.0.5:3478          *:*                    \r\n [MediaRelaySvc.exe]\r\n\
  UDP    203.0.113.7:3478       *:*                    \r\n [MediaRelaySvc.exe]\r\n";

fn list(text: &str) -> List {
    read(text.as_bytes()).unwrap()
}

fn service(list: &List, is_stream: bool, address: &str) -> Option<(&'static str, By)> {
    let address = address.parse().unwrap();
    let is_it = |socket: &&Socket| socket.is_stream == is_stream && socket.address == address;
    let (service, by) = list.sockets.iter().find(is_it).unwrap().service?;
    Some((service.service_name(), by))
}

#[test]
fn each_listener_of_netstat_is_its_service_s_by_its_program() {
    let list = list(NETSTAT);
    let of = |is_stream, address| service(&list, is_stream, address);
    for (is_stream, address, name) in [
        (true, "0.0.0.0:4443", "REPLICA"),
        (true, "[::]:4443", "REPLICA"),
        (true, "10.0.0.5:443", "RTCMEDIARELAY"),
        (true, "10.0.0.5:5061", "RTCSRV"),
        (true, "10.0.0.5:5062", "RTCMRAUTH"),
        (true, "10.0.0.5:8057", "RTCDATAPROXY"),
        (true, "203.0.113.5:443", "RTCSRV"),
        (true, "203.0.113.6:443", "RTCDATAPROXY"),
        (true, "203.0.113.7:443", "RTCMEDIARELAY"),
        (true, "203.0.113.7:50137", "RTCMEDIARELAY"),
        (false, "10.0.0.5:3478", "RTCMEDIARELAY"),
        (false, "203.0.113.7:3478", "RTCMEDIARELAY"),
    ] {
        assert_eq!(of(is_stream, address), Some((name, By::Program)), "{address}");
    }
    let strangers = ["0.0.0.0:135", "0.0.0.0:445", "[fe80::1]:139"].map(|address| of(true, address));
    assert_eq!(strangers, [None; 3]);
    assert_eq!((list.format, list.sockets.len(), list.missing().count()), ("netstat", 15, 0));
    assert!(list.findings.is_empty(), "{:?}", list.findings);
    let sip = list.sockets.iter().find(|socket| socket.address.to_string() == "10.0.0.5:5061").unwrap();
    assert_eq!((sip.established, sip.line, sip.program.as_deref()), (2, 14, Some("RTCSrv.exe")));
}

/// Without `-b`, or on Linux where one program is all services, only the port can say it, and 443 is three services'.
#[test]
fn without_a_program_of_its_own_a_listener_is_known_by_its_port() {
    let bare: String = NETSTAT
        .lines()
        .filter(|line| !line.contains('[') || line.contains("TCP"))
        .collect::<Vec<_>>()
        .join("\n");
    let by_port = list(&bare);
    assert_eq!(service(&by_port, true, "10.0.0.5:5062"), Some(("RTCMRAUTH", By::Port)));
    assert_eq!(service(&by_port, true, "10.0.0.5:443"), None);
    let ss = "Netid State  Recv-Q Send-Q    Local Address:Port    Peer Address:Port Process\n\
        udp   UNCONN 0      0             10.0.0.5:3478         0.0.0.0:*     users:((\"carillon\",pid=7,fd=11))\n\
        udp   UNCONN 0      0      127.0.0.53%lo:53           0.0.0.0:*     users:((\"systemd-resolve\",pid=5,fd=14))\n\
        tcp   LISTEN 0      1024          10.0.0.5:5061         0.0.0.0:*     users:((\"carillon\",pid=7,fd=9))\n\
        tcp   ESTAB  0      0             10.0.0.5:5061       10.0.0.20:49811 users:((\"carillon\",pid=7,fd=21))\n\
        tcp   LISTEN 0      4096                 *:4443               *:*\n\
        tcp   LISTEN 0      4096              [::]:22              [::]:*     users:((\"sshd\",pid=3,fd=4))\n";
    let linux = list(ss);
    assert_eq!((linux.format, linux.sockets.len()), ("ss", 5));
    assert_eq!(service(&linux, false, "10.0.0.5:3478"), Some(("RTCMEDIARELAY", By::Port)));
    assert_eq!(service(&linux, true, "[::]:4443"), Some(("REPLICA", By::Port)));
    assert_eq!((service(&linux, false, "127.0.0.53:53"), service(&linux, true, "[::]:22")), (None, None));
    assert_eq!(linux.sockets[2].established, 1);
    assert_eq!(
        linux.missing().map(EdgeService::service_name).collect::<Vec<_>>(),
        ["RTCMRAUTH", "RTCDATAPROXY"]
    );
}

#[test]
fn a_place_that_waits_twice_and_a_port_of_a_service_with_another_program_are_found() {
    let twice = NETSTAT.replace("10.0.0.5:8057 ", "10.0.0.5:5062 ");
    assert_eq!(
        list(&twice).findings,
        ["line 22: TCP 10.0.0.5:5062 waits twice, for MRASSvc.exe and for DataProxy.exe"]
    );
    let held = list(&NETSTAT.replace("[MRASSvc.exe]", "[inetinfo.exe]"));
    assert_eq!(
        held.findings,
        ["line 20: TCP 10.0.0.5:5062 is held by inetinfo.exe, and is the A/V Authentication's (MRASSvc.exe)"]
    );
    assert_eq!(held.missing().map(EdgeService::service_name).collect::<Vec<_>>(), ["RTCMRAUTH"]);
}

/// PowerShell writes UTF-16, and other systems have other words for the states.
#[test]
fn encodings_and_languages_of_windows_are_read_alike() {
    let wide: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(NETSTAT.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(read(&wide).unwrap(), list(NETSTAT));
    let german = NETSTAT.replace("LISTENING", "ABH\u{d6}REN").replace("ESTABLISHED", "HERGESTELLT");
    let latin: Vec<u8> = german.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(read(&latin).unwrap(), list(NETSTAT));
}

#[test]
fn what_is_no_list_is_refused_with_what_would_be_one() {
    for text in ["", "hello", "  TCP    10.0.0.5:5061  10.0.0.20:1  ESTABLISHED\r\n"] {
        assert!(read(text.as_bytes()).unwrap_err().contains("netstat -abn"), "{text}");
    }
}
