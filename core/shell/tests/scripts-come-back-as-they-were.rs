//! A script that is read, printed and read again is the same; no text makes reading or carrying out panic.
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use carillon_shell::language::{parse, print};
use proptest::prelude::*;
use support::Estate;

/// Pieces of which documented lines are made, put together without sense.
const PIECES: [&str; 52] = [
    "Get-CsService",
    "Set-CsUCPhoneConfiguration",
    "fl",
    "where",
    "$_.Identity",
    "$x",
    "$true",
    " ",
    " ",
    " ",
    "\n",
    "|",
    ";",
    "(",
    ")",
    "{",
    "}",
    "@{",
    "@(",
    "=",
    ",",
    "-",
    "-Identity",
    "-eq",
    "-not",
    "'a'",
    "\"b $x\"",
    "site:*",
    "40",
    "1MB",
    "`",
    "#",
    "<# #>",
    "\u{2013}",
    "\u{201c}",
    "\u{2019}",
    ">",
    ".",
    "[",
    "]",
    "!",
    "PS C:\\> ",
    "- Force",
    "foreach ($i in $x)",
    "if (1)",
    "&",
    "-f",
    "-join",
    "..",
    "%",
    "[int]",
    "select @{n='x';e={$_.a}}",
];

fn script() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![4 => proptest::sample::select(&PIECES[..]).prop_map(str::to_owned), 1 => "\\PC{0,4}"],
        0..24,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_printed_and_read_as_the_same(text in script()) {
        if let Ok((script, _)) = parse(&text, false) {
            let printed = print(&script);
            let again = parse(&printed, true).map(|(script, _)| script);
            prop_assert_eq!(again, Ok(script), "{}", printed);
        }
    }

    #[test]
    fn nothing_panics_and_every_plan_that_is_left_is_one(text in script()) {
        let mut estate = Estate::installed();
        estate.run(&text);
        estate.plan();
    }
}
