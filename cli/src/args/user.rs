//! Flags of `carillon user`.

use clap::{Args, Subcommand, ValueHint};

use super::Reach;

/// `carillon user`.
#[derive(Subcommand, Debug)]
pub enum User {
    /// Add a user. The password is asked for, or read as one line from standard input.
    Add(AddUser),
    /// Add or change the users of a CSV file with the columns name, password and perhaps site, number.
    Import {
        /// The file; `-` is standard input.
        #[arg(value_name = "FILE.csv", value_hint = ValueHint::FilePath)]
        file: String,
        /// Leave out rows that are wrong, instead of importing nothing.
        #[arg(long)]
        skip_bad: bool,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// Show whom a user watches and who may watch it, or set both.
    Contacts(OfUser),
    /// Show what becomes of calls for a user, or set it: forwarding, ringing along, delegates, voicemail.
    Rules(OfUser),
    /// Show what a user may do over the admin API, or change it.
    Role {
        /// The user.
        name: String,
        /// user: what is its own; help-desk: see everything, and help users; administrator: everything.
        #[arg(value_parser = ["user", "help-desk", "administrator"])]
        role: Option<String>,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// Give a user another number, or none.
    Number {
        /// The user.
        name: String,
        /// The number from its + on: `+49301234`.
        #[arg(required_unless_present = "none")]
        number: Option<String>,
        /// Take the number away.
        #[arg(long, conflicts_with = "number")]
        none: bool,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// Show a user: where it belongs, how many phones it has signed in, who is locked out of it.
    Show {
        /// The user.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// Let those try again who gave too many wrong passwords for a user.
    Unlock {
        /// The user.
        name: String,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// Let another account of the OpenID provider sign in as a user; `user show` says which one does now.
    ReleaseAccount {
        /// The user.
        name: String,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// Confirm that so many users have really gone from the directory, when these are too many to be believed.
    ConfirmVanished {
        /// How many, as `carillon status` says.
        #[arg(value_name = "USERS")]
        users: u64,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// List users.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// Give a user another password. It is asked for, or read as one line from standard input.
    Passwd {
        /// The user.
        name: String,
        /// Make a password up and print it.
        #[arg(long)]
        generate: bool,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
    /// Remove users with all their registrations.
    Remove {
        /// The users.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// Which server.
        #[command(flatten)]
        server: Reach,
    },
}

/// `carillon user add`.
#[derive(Args, Debug)]
pub struct AddUser {
    /// `alice`, or with one of the server's domains `alice@example.com`.
    pub name: String,
    /// The site of the plan that the user belongs to.
    #[arg(long)]
    pub site: Option<String>,
    /// The number by which the user is called: `+49301234`.
    #[arg(long)]
    pub number: Option<String>,
    /// Take no other proof of the password, of those that the listener offers.
    #[arg(long, value_parser = ["md5", "sha-256", "both"])]
    pub digest: Option<String>,
    /// Make a password up and print it.
    #[arg(long)]
    pub generate: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Reach,
}

/// A document of a user: shown, or put.
#[derive(Args, Debug)]
pub struct OfUser {
    /// The user.
    pub name: String,
    /// Put this JSON, as --json prints it, in place of what there is; `-` is standard input.
    #[arg(long, value_name = "FILE.json", value_hint = ValueHint::FilePath)]
    pub set: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Reach,
}
