//! Call admission control: what calls reserve on the links between sites, what becomes of those that do not fit, and that every ending
//! gives back what was reserved.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

#[path = "calls-fit-the-links/bridged.rs"]
mod bridged;
#[path = "calls-fit-the-links/model.rs"]
mod model;

use std::sync::Arc;
use std::time::Duration;

use carillon_qos::Plan;
use carillon_signaling::records::{CallLeg, Record};
use carillon_signaling::{CallRules, Goal, Limits, LinkUse, Request};
use carillon_wire::sip::Flow;
use support::*;

/// Oslo, behind a link for two calls with G.722 and one video, has 198.51.100.0 to 63; Rome, without limits, has 64 to 127. The rest is
/// anywhere.
const PLAN: &str = r#"
    base = "lync"
    [management.NetworkConfiguration.Global]
    EnableBandwidthPolicyCheck = true
    [management.NetworkBandwidthPolicyProfile.Thin]
    BWPolicy = ["BWLimit=320;BWSessionLimit=200;BWPolicyModality=Audio", "BWLimit=600;BWSessionLimit=350;BWPolicyModality=Video"]
    [management.NetworkRegion.World]
    [management.NetworkSite.Oslo]
    NetworkRegionID = "World"
    BWPolicyProfileID = "Thin"
    [management.NetworkSite.Rome]
    NetworkRegionID = "World"
    [management.NetworkSubnet."198.51.100.0"]
    MaskBits = 26
    NetworkSiteID = "Oslo"
    [management.NetworkSubnet."198.51.100.64"]
    MaskBits = 26
    NetworkSiteID = "Rome"
"#;

const AUDIO: &str = "v=0\r\nc=IN IP4 198.51.100.1\r\nm=audio 5000 RTP/AVP 9 0\r\n";
const VIDEO: &str = "v=0\r\nc=IN IP4 198.51.100.1\r\nm=audio 5000 RTP/AVP 9 0\r\nm=video 5002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
const SPOKEN: &str = "v=0\r\nc=IN IP4 198.51.100.2\r\nm=audio 5000 RTP/AVP 9\r\n";
const SEEN: &str = "v=0\r\nc=IN IP4 198.51.100.2\r\nm=audio 5000 RTP/AVP 9\r\nm=video 5002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";

/// With bob at `.70` in Rome.
fn house() -> House {
    let mut house = House::new();
    set_plan(&mut house, PLAN);
    house.register("bob", udp(70), "");
    house
}

fn set_plan(house: &mut House, plan: &str) {
    let plan = Arc::new(Plan::from_toml(plan).unwrap());
    house.front.handle_request(house.now, Request::SetPlan { plan, version: 2 });
    house.drain();
}

/// With a body.
fn with(text: &str, sdp: &str) -> String {
    let length = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    if sdp.is_empty() { text.to_owned() } else { text.replace("Content-Length: 0\r\n\r\n", &length) }
}

/// Somebody at this address calls bob in a call of this name.
fn call(from: Flow, name: &str, sdp: &str) -> String {
    with(&invite(from, name).replace("call-1", name), sdp)
}

/// A request of the caller within the call.
fn within(method: &str, from: Flow, name: &str, cseq: u32, routes: &str, sdp: &str) -> String {
    let uri = contact("bob", udp(70));
    let text = request(method, &uri, from, &format!("{name}{method}{cseq}"), cseq, "bob", routes);
    with(&text.replace("call-1", name), sdp)
}

/// The request that went to bob, of what left.
fn forwarded(sent: &[Sent]) -> &Sent {
    sent.iter().find(|sent| sent.start().starts_with("INVITE")).unwrap_or_else(|| panic!("{sent:#?}"))
}

/// Bob takes the call; what the caller gets.
fn taken(house: &mut House, invited: &Sent, sdp: &str) -> Sent {
    let contact = format!("Contact: <{}>\r\n", contact("bob", udp(70)));
    let answer = with(&invited.answer("200 OK", "bob", &contact), sdp);
    house.hear(udp(70), &answer).remove(0)
}

/// A call that is up; the routes for what comes later.
fn up(house: &mut House, from: Flow, name: &str, offer: &str, answer: &str) -> String {
    let sent = house.hear(from, &call(from, name, offer));
    let ok = taken(house, forwarded(&sent), answer);
    let routes = caller_routes(&ok.text);
    house.hear(from, &within("ACK", from, name, 1, &routes, ""));
    routes
}

fn hang_up(house: &mut House, from: Flow, name: &str, routes: &str) {
    let bye = house.hear(from, &within("BYE", from, name, 9, routes, "")).remove(0);
    house.hear(udp(70), &bye.answer("200 OK", "", ""));
}

/// What is reserved on Oslo's link: audio and video.
fn reserved(house: &House) -> (u64, u64) {
    let links = house.front.links();
    (links[0].audio.reserved, links[0].video.reserved)
}

fn link(house: &House) -> LinkUse {
    house.front.links().remove(0)
}

/// Endings of callers' legs, with the link that was full.
fn endings(house: &House) -> Vec<(String, Option<String>)> {
    let legs = house.records.iter().filter_map(|record| match record {
        Record::Leg(CallLeg { end: Some(end), over_budget, .. }) => {
            Some((end.ending.name().to_owned(), over_budget.as_ref().map(ToString::to_string)))
        }
        _ => None,
    });
    legs.collect()
}

#[test]
fn the_call_after_the_last_that_fits_is_refused_until_one_has_ended() {
    let mut house = house();
    let first = up(&mut house, udp(1), "one", AUDIO, SPOKEN);
    up(&mut house, udp(2), "two", AUDIO, SPOKEN);
    assert_eq!(reserved(&house), (320, 0));
    let refused = house.hear(udp(3), &call(udp(3), "three", AUDIO));
    assert_eq!(refused.len(), 2, "and nobody has rung: {refused:#?}");
    assert_eq!(refused[1].start(), "SIP/2.0 488 Not Acceptable Here");
    assert_eq!(refused[1].get("Warning"), "370 192.0.2.1:5060 \"Insufficient bandwidth for the call\"");
    assert_eq!(refused[1].get("Reason"), "Q.850;cause=49;text=\"Quality of service not available\"");
    assert_eq!(endings(&house), [("over-budget".to_owned(), Some("Oslo".to_owned()))]);
    assert_eq!((link(&house).audio.refused, link(&house).audio.calls), (1, 2));

    hang_up(&mut house, udp(1), "one", &first);
    assert_eq!(reserved(&house), (160, 0));
    up(&mut house, udp(3), "four", AUDIO, SPOKEN);
    assert_eq!(reserved(&house), (320, 0));
}

#[test]
fn a_call_without_room_for_its_video_goes_on_without_and_says_why() {
    let mut house = house();
    let first = up(&mut house, udp(1), "one", VIDEO, SEEN);
    assert_eq!(reserved(&house), (160, 350), "a session of the link, as nothing smaller is asked for");

    let sent = house.hear(udp(2), &call(udp(2), "two", VIDEO));
    let invited = forwarded(&sent).clone();
    assert!(invited.text.contains("m=audio 5000 RTP/AVP 9 0\r\n"), "{}", invited.text);
    assert!(invited.text.ends_with("m=video 0 RTP/AVP 96\r\n"), "{}", invited.text);
    let body = invited.text.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(invited.get("Content-Length"), body.len().to_string());
    let refusing = format!("{SPOKEN}m=video 0 RTP/AVP 96\r\n");
    let ok = taken(&mut house, &invited, &refusing);
    assert_eq!(ok.get("Warning"), "370 192.0.2.1:5060 \"Insufficient bandwidth for video\"");
    assert!(ok.text.ends_with(&refusing));
    assert_eq!(reserved(&house), (320, 350));
    assert_eq!((link(&house).video.refused, link(&house).video.calls), (1, 1));
    hang_up(&mut house, udp(2), "two", &caller_routes(&ok.text));
    let full = Some("Oslo".to_owned());
    assert_eq!(endings(&house), [("hung-up".to_owned(), full.clone()), ("hung-up".to_owned(), full)]);

    hang_up(&mut house, udp(1), "one", &first);
    assert_eq!(reserved(&house), (0, 0));
    let sent = house.hear(udp(2), &call(udp(2), "three", VIDEO));
    assert!(
        forwarded(&sent).text.contains("m=video 5002 RTP/AVP 96\r\nb=AS:350\r\n"),
        "and no more than that is sent"
    );
}

#[test]
fn a_call_that_is_only_seen_is_refused_where_nothing_would_be_left_of_it() {
    let mut house = house();
    up(&mut house, udp(1), "one", VIDEO, SEEN);
    let silent = VIDEO.replace("audio 5000", "audio 0");
    let refused = house.hear(udp(2), &call(udp(2), "two", &silent));
    assert_eq!(refused[1].start(), "SIP/2.0 488 Not Acceptable Here");
    assert_eq!(reserved(&house), (160, 350));
}

#[test]
fn an_answer_settles_what_was_reserved_for_the_offer() {
    let mut house = house();
    let sent = house.hear(udp(1), &call(udp(1), "one", VIDEO));
    assert_eq!(reserved(&house), (160, 350), "what it may come to");
    taken(&mut house, forwarded(&sent), &SPOKEN.replace("AVP 9", "AVP 0"));
    assert_eq!(reserved(&house), (156, 0), "what it has come to");
}

#[test]
fn whoever_does_not_answer_gives_back_what_was_reserved() {
    let mut house = house();
    let offer = call(udp(1), "busy", VIDEO);
    let sent = house.hear(udp(1), &offer);
    house.hear(udp(70), &forwarded(&sent).answer("486 Busy Here", "bob", ""));
    assert_eq!(reserved(&house), (0, 0));

    let offer = call(udp(1), "cancelled", VIDEO);
    let sent = house.hear(udp(1), &offer);
    house.hear(udp(70), &forwarded(&sent).answer("180 Ringing", "bob", ""));
    assert_eq!(reserved(&house), (160, 350));
    let cancel = request("CANCEL", "sip:bob@example.com", udp(1), "cancelled", 1, "", "");
    house.hear(udp(1), &cancel.replace("call-1", "cancelled"));
    house.hear(udp(70), &forwarded(&sent).answer("487 Request Terminated", "bob", ""));
    assert_eq!(reserved(&house), (0, 0));

    house.hear(udp(1), &call(udp(1), "silence", VIDEO));
    assert_eq!(reserved(&house), (160, 350));
    house.wait(Duration::from_secs(600));
    assert_eq!(reserved(&house), (0, 0));
    house.assert_quiet();
}

#[test]
fn a_call_that_falls_silent_gives_back_what_was_reserved() {
    let limits = Limits { silence: Duration::from_secs(3600), ..Limits::default() };
    let mut house = House::with(limits);
    set_plan(&mut house, PLAN);
    house.register("bob", udp(70), "");
    up(&mut house, udp(1), "one", AUDIO, SPOKEN);
    house.wait(Duration::from_secs(3599));
    assert_eq!(reserved(&house), (160, 0));
    house.wait(SECOND);
    assert_eq!(reserved(&house), (0, 0));
    house.register("bob", udp(70), "");
    let sent = house.hear(udp(2), &call(udp(2), "two", AUDIO));
    let timer = forwarded(&sent).answer("200 OK", "bob", "Session-Expires: 90;refresher=uas\r\n");
    house.hear(udp(70), &with(&timer, SPOKEN));
    house.wait(Duration::from_secs(121));
    assert_eq!(reserved(&house), (160, 0));
    house.wait(SECOND);
    assert_eq!(reserved(&house), (0, 0), "sooner, if a session timer was agreed on");
}

#[test]
fn within_a_site_and_between_sites_without_budgets_calls_cost_nothing() {
    let mut house = house();
    house.register("carol", udp(10), "");
    let carol = call(udp(1), "oslo", VIDEO).replace("sip:bob@", "sip:carol@");
    assert!(forwarded(&house.hear(udp(1), &carol)).text.ends_with(VIDEO));
    assert!(forwarded(&house.hear(udp(80), &call(udp(80), "rome", VIDEO))).text.ends_with(VIDEO));
    assert!(forwarded(&house.hear(udp(200), &call(udp(200), "far", VIDEO))).text.ends_with(VIDEO));
    assert_eq!(reserved(&house), (0, 0));
    let abroad = call(udp(200), "abroad", AUDIO).replace("sip:bob@", "sip:carol@");
    house.hear(udp(200), &abroad);
    assert_eq!(reserved(&house), (160, 0), "from anywhere else the way is by the link of the site");
}

#[test]
fn more_in_a_call_is_granted_while_there_is_room_and_less_gives_back() {
    let mut house = house();
    let routes = up(&mut house, udp(1), "one", AUDIO, SPOKEN);
    let sent = house.hear(udp(1), &within("INVITE", udp(1), "one", 2, &routes, VIDEO));
    assert_eq!(reserved(&house), (160, 350));
    taken(&mut house, forwarded(&sent), SEEN);
    assert_eq!(reserved(&house), (160, 350));
    let sent = house.hear(udp(1), &within("INVITE", udp(1), "one", 3, &routes, AUDIO));
    assert_eq!(reserved(&house), (160, 350), "as long as it is not agreed on");
    taken(&mut house, forwarded(&sent), SPOKEN);
    assert_eq!(reserved(&house), (160, 0));

    up(&mut house, udp(2), "two", VIDEO, SEEN);
    let sent = house.hear(udp(1), &within("INVITE", udp(1), "one", 4, &routes, VIDEO));
    assert!(forwarded(&sent).text.ends_with("m=video 0 RTP/AVP 96\r\n"), "another has it now");
    house.hear(udp(70), &forwarded(&sent).answer("488 Not Acceptable Here", "bob", ""));
    assert_eq!(reserved(&house), (320, 350), "a refusal leaves the call as it was");
    hang_up(&mut house, udp(1), "one", &routes);
    assert_eq!(reserved(&house), (160, 350));
}

#[test]
fn a_refresh_of_a_call_on_a_full_link_passes() {
    let mut house = house();
    let routes = up(&mut house, udp(1), "one", AUDIO, SPOKEN);
    up(&mut house, udp(2), "two", AUDIO, SPOKEN);
    let update = house.hear(udp(1), &within("UPDATE", udp(1), "one", 2, &routes, ""));
    assert!(update[0].start().starts_with("UPDATE"), "{update:#?}");
    let sent = house.hear(udp(1), &within("INVITE", udp(1), "one", 3, &routes, AUDIO));
    taken(&mut house, forwarded(&sent), SPOKEN);
    assert_eq!(reserved(&house), (320, 0));
}

#[test]
fn an_offer_that_comes_with_the_answer_is_granted_what_there_is() {
    let mut house = house();
    up(&mut house, udp(1), "one", VIDEO, SEEN);
    let sent = house.hear(udp(2), &call(udp(2), "two", ""));
    assert_eq!(reserved(&house), (320, 350), "speech, by whichever codec");
    let ok = taken(&mut house, forwarded(&sent), SEEN);
    assert!(ok.text.ends_with("m=video 0 RTP/AVP 96\r\n"), "{}", ok.text);
    assert_eq!(ok.get("Warning"), "370 192.0.2.1:5060 \"Insufficient bandwidth for video\"");
    assert_eq!(reserved(&house), (320, 350));
    let again = house.hear(udp(70), &with(&forwarded(&sent).answer("200 OK", "bob", ""), SEEN)).remove(0);
    assert!(again.text.ends_with("m=video 0 RTP/AVP 96\r\n"), "however often it comes: {}", again.text);
}

#[test]
fn codecs_that_one_call_may_not_take_are_not_offered() {
    let mut house = house();
    set_plan(&mut house, &PLAN.replace("BWSessionLimit=200", "BWSessionLimit=70"));
    let opus = "v=0\r\nm=audio 5000 RTP/AVP 9 96 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
    let sent = house.hear(udp(1), &call(udp(1), "one", opus));
    let text = &forwarded(&sent).text;
    assert!(text.contains("RTP/AVP 96 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101"), "{text}");
    assert_eq!(reserved(&house), (64, 0));
    let refused = house.hear(udp(2), &call(udp(2), "two", AUDIO));
    assert_eq!(refused[1].start(), "SIP/2.0 488 Not Acceptable Here", "of these none is small enough");
}

#[test]
fn two_sections_of_audio_are_two() {
    let mut house = house();
    let two = format!("{AUDIO}m=audio 5004 RTP/AVP 0\r\n");
    let sent = house.hear(udp(1), &call(udp(1), "one", &two));
    assert_eq!(reserved(&house), (316, 0));
    taken(&mut house, forwarded(&sent), &format!("{SPOKEN}m=audio 0 RTP/AVP 0\r\n"));
    assert_eq!(reserved(&house), (160, 0), "one of which was refused");
    let refused = house.hear(udp(2), &call(udp(2), "two", &two));
    assert_eq!(refused[1].start(), "SIP/2.0 488 Not Acceptable Here");
}

#[test]
fn what_is_offered_before_the_answer_may_come_to_no_more_than_the_call() {
    let mut house = house();
    let sent = house.hear(udp(1), &call(udp(1), "one", &AUDIO.replace("9 0", "0")));
    let early = with(
        &forwarded(&sent).answer("183 Session Progress", "bob", "Require: 100rel\r\nRSeq: 1\r\n"),
        SPOKEN,
    );
    let early = house.hear(udp(70), &early).remove(0);
    let routes = caller_routes(&early.text);
    assert_eq!(reserved(&house), (156, 0));
    let mut update =
        |cseq, sdp: &str| house.hear(udp(1), &within("UPDATE", udp(1), "one", cseq, &routes, sdp)).remove(0);
    assert_eq!(update(2, AUDIO).start(), "SIP/2.0 488 Not Acceptable Here");
    let passed = update(3, &VIDEO.replace("9 0", "0"));
    assert!(passed.text.ends_with("m=video 0 RTP/AVP 96\r\n"), "{}", passed.text);
    assert!(update(4, &AUDIO.replace("9 0", "8")).start().starts_with("UPDATE"));
    assert_eq!(reserved(&house), (156, 0));
}

#[test]
fn of_several_phones_those_ring_that_a_link_leads_to() {
    let mut house = house();
    house.register("bob", udp(5), "");
    up(&mut house, udp(1), "one", AUDIO, SPOKEN);
    let first = house.hear(udp(80), &call(udp(80), "fork", AUDIO));
    let rung: Vec<_> = first.iter().filter(|sent| sent.start().starts_with("INVITE")).collect();
    assert_eq!(rung.len(), 2, "one in Rome, one in Oslo by the link");
    assert_eq!(reserved(&house), (320, 0));
    let second = house.hear(udp(81), &call(udp(81), "other", AUDIO));
    let rung: Vec<_> =
        second.iter().filter(|sent| sent.start().starts_with("INVITE")).map(|sent| sent.to).collect();
    assert_eq!(rung, [udp(70).remote]);
    let busy = house.hear(udp(70), &forwarded(&second).answer("486 Busy Here", "bob", ""));
    assert!(
        busy.iter().any(|sent| sent.start() == "SIP/2.0 486 Busy Here"),
        "what a phone says counts more: {busy:#?}"
    );
    let inside = first.iter().find(|sent| sent.to == udp(70).remote).unwrap().clone();
    taken(&mut house, &inside, SPOKEN);
    assert_eq!(reserved(&house), (160, 0), "answered in Rome, it takes no link");
}

#[test]
fn rules_send_a_call_elsewhere_that_no_link_has_room_for() {
    let mut house = house();
    house.register("carol", udp(10), "");
    let rules =
        CallRules { unreachable: Some(Goal::Address("carol@example.com".into())), ..CallRules::default() };
    house.front.handle_request(house.now, Request::SetRules { aor: "bob@example.com".into(), rules });
    up(&mut house, udp(1), "one", AUDIO, SPOKEN);
    up(&mut house, udp(2), "two", AUDIO, SPOKEN);
    let sent = house.hear(udp(3), &call(udp(3), "three", AUDIO));
    assert_eq!(forwarded(&sent).to, udp(10).remote, "carol is in Oslo as the caller is");
    assert_eq!(reserved(&house), (320, 0));
}

#[test]
fn another_plan_moves_what_is_reserved_and_sends_nobody_away() {
    let mut house = house();
    let routes = up(&mut house, udp(1), "one", AUDIO, SPOKEN);
    up(&mut house, udp(2), "two", AUDIO, SPOKEN);
    set_plan(&mut house, &PLAN.replace("BWLimit=320", "BWLimit=200"));
    assert_eq!((link(&house).audio.capacity, reserved(&house)), (Some(200), (320, 0)));
    let sent = house.hear(udp(1), &within("INVITE", udp(1), "one", 2, &routes, AUDIO));
    taken(&mut house, forwarded(&sent), SPOKEN);
    hang_up(&mut house, udp(1), "one", &routes);
    assert_eq!(reserved(&house), (160, 0));
    let refused = house.hear(udp(3), &call(udp(3), "three", AUDIO));
    assert_eq!(refused[1].start(), "SIP/2.0 488 Not Acceptable Here");
    set_plan(&mut house, &PLAN.replace("EnableBandwidthPolicyCheck = true", ""));
    assert_eq!(house.front.links(), []);
    assert_eq!(house.hear(udp(3), &call(udp(3), "four", AUDIO)).len(), 2);
    set_plan(&mut house, PLAN);
    assert_eq!(reserved(&house), (320, 0), "what began meanwhile is known too");
}

/// The same seed after a restart: dialogs go on, and what they use is known when they are next heard of.
#[test]
fn a_call_from_before_a_restart_is_counted_when_it_is_refreshed() {
    let mut before = house();
    let routes = up(&mut before, udp(1), "one", VIDEO, SEEN);
    let mut house = house();
    house.now += Duration::from_secs(60);
    assert_eq!(reserved(&house), (0, 0));
    let sent = house.hear(udp(1), &within("INVITE", udp(1), "one", 2, &routes, VIDEO));
    taken(&mut house, forwarded(&sent), SEEN);
    assert_eq!(reserved(&house), (160, 350));
    hang_up(&mut house, udp(1), "one", &routes);
    assert_eq!(reserved(&house), (0, 0));
}
