//! What a record has: one table for the file, the API, exports and the page about them.

use carillon_signaling::records::{CallLeg, Quality, Stream};
use rusqlite::types::Value;

use crate::millis;

/// A column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name in the file, in JSON and in CSV.
    pub name: &'static str,
    /// How SQLite keeps it.
    pub(super) kind: &'static str,
    /// What it says.
    pub about: &'static str,
}

const fn text(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: "TEXT", about }
}

const fn number(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: "INTEGER", about }
}

const fn real(name: &'static str, about: &'static str) -> Column {
    Column { name, kind: "REAL", about }
}

/// How many of the columns are the call's own; those behind them are what phones report.
pub(super) const OF_CALL: usize = 29;

/// All of them, in the order of exports.
pub const COLUMNS: &[Column] = &[
    number(
        "call",
        "Names the call, the same for both legs: microseconds since 1970 at its begin, made unique.",
    ),
    text("side", "`caller` or `callee`."),
    text("call_id", "The Call-ID of SIP."),
    text("user", "Whose leg."),
    text("peer", "The other one, or who was called."),
    text("address", "Where its signaling came from, as the Edge saw it if it came through one."),
    text("site", "The site of the plan that has this address."),
    text("transport", "What its signaling came over."),
    number("through_edge", "1 if it came through an Edge."),
    number("begun", "When it began, in milliseconds since 1970."),
    number("rung", "When the first phone rang."),
    number("answered", "When it was answered; none if it was not."),
    number("ended", "When it ended; none while it is open."),
    text("ending", "Why it is over."),
    number("code", "The final answer of SIP, if it was not answered by a person."),
    text("ended_by", "`caller`, `callee` or `server`."),
    text("audio_address", "Where this side hears: address and port."),
    text("audio_codec", "The codec that both agreed on."),
    number("audio_rate", "Samples a second: 16000 is wideband, G.722 too."),
    number("audio_encrypted", "1 if the packets are encrypted."),
    number("audio_in_range", "1 if the port is in the plan's range of this side's class, 0 if not."),
    number("audio_mark", "The mark that the plan wants on what this side sends."),
    text(
        "audio_path",
        "`host`, `reflexive` or `relayed`, where descriptions leave no doubt or the phone reports it.",
    ),
    text("video_address", "The same of the video."),
    text("video_codec", "The same of the video."),
    number("video_in_range", "The same of the video."),
    number("video_mark", "The same of the video."),
    text("video_path", "The same of the video."),
    text(
        "over_budget",
        "The link between sites that had no room: for the call if it was refused, else for its video.",
    ),
    number("packets_sent", "RTP packets that the phone reports to have sent."),
    number("packets_received", "RTP packets that arrived at it."),
    number("packets_lost", "RTP packets that did not."),
    real("loss", "Lost, in percent."),
    real("discarded", "Too late to be played, in percent."),
    real("jitter", "In milliseconds."),
    real("round_trip", "In milliseconds."),
    real("mos_listening", "1 to 5."),
    real("mos_conversation", "1 to 5."),
    text("marks_sent", "Marks that the phone reports to have sent, with packets: `46:500`."),
    text("marks_received", "Marks that arrived at it."),
];

/// The values of a leg, in the order of the first columns.
pub(super) fn of_leg(leg: &CallLeg) -> [Value; OF_CALL] {
    let time = |time: Option<std::time::Duration>| optional(time.map(millis));
    let (audio, video) = (leg.audio.as_ref(), leg.video.as_ref());
    let stream = |stream: Option<&Stream>| {
        [
            words(stream.and_then(|stream| stream.address)),
            words(stream.and_then(|stream| stream.codec.as_deref())),
            optional(stream.and_then(|stream| stream.in_range)),
            optional(stream.and_then(|stream| stream.mark)),
            words(stream.and_then(|stream| stream.path).map(|path| path.name())),
        ]
    };
    let [audio_address, audio_codec, audio_in_range, audio_mark, audio_path] = stream(audio);
    let [video_address, video_codec, video_in_range, video_mark, video_path] = stream(video);
    [
        Value::Integer(leg.call.cast_signed()),
        words(Some(leg.side.name())),
        words(Some(&leg.call_id)),
        words(Some(&leg.user)),
        words(Some(&leg.peer)),
        words(leg.address),
        words(leg.site.as_ref()),
        words(Some(leg.transport)),
        leg.through_edge.into(),
        time(Some(leg.begun)),
        time(leg.rung),
        time(leg.answered),
        time(leg.end.map(|end| end.at)),
        words(leg.end.map(|end| end.ending.name())),
        optional(leg.end.and_then(|end| end.code)),
        words(leg.end.map(|end| end.by.map_or("server", |by| by.name()))),
        audio_address,
        audio_codec,
        optional(audio.and_then(|audio| audio.rate)),
        optional(audio.map(|audio| audio.encrypted)),
        audio_in_range,
        audio_mark,
        audio_path,
        video_address,
        video_codec,
        video_in_range,
        video_mark,
        video_path,
        words(leg.over_budget.as_ref()),
    ]
}

/// What a phone reports: the name of each column that it says something about, and what.
pub(super) fn of_quality(quality: &Quality) -> Vec<(&'static str, Value)> {
    let count = |count: Option<u64>| optional(count.map(u64::cast_signed));
    let all = [
        ("packets_sent", count(quality.packets_sent)),
        ("packets_received", count(quality.packets_received)),
        ("packets_lost", count(quality.packets_lost)),
        ("loss", optional(quality.loss)),
        ("discarded", optional(quality.discarded)),
        ("jitter", optional(quality.jitter)),
        ("round_trip", optional(quality.round_trip)),
        ("mos_listening", optional(quality.mos_listening)),
        ("mos_conversation", optional(quality.mos_conversation)),
        ("marks_sent", marks(&quality.marks_sent)),
        ("marks_received", marks(&quality.marks_received)),
        ("audio_path", words(quality.path.map(|path| path.name()))),
    ];
    all.into_iter().filter(|(_, value)| *value != Value::Null).collect()
}

fn marks(marks: &[(u8, u64)]) -> Value {
    let text: Vec<String> = marks.iter().map(|(mark, packets)| format!("{mark}:{packets}")).collect();
    words((!text.is_empty()).then(|| text.join(",")))
}

fn optional(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}

fn words(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, |value| Value::Text(value.to_string()))
}
