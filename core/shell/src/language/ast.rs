//! What a script says, before anything is known of cmdlets: whether a word behind a parameter is its value is decided by
//! who binds it.

/// Statements in their order.
pub type Script = Vec<Statement>;

/// One statement.
#[derive(Clone, PartialEq, Debug)]
pub enum Statement {
    /// `Get-X | Set-X`; its output is printed.
    Pipeline(Pipeline),
    /// `$x = Get-X`, `$x.Organization = "Litware"`.
    Assign {
        /// The variable.
        variable: String,
        /// The property of its value, if that is assigned.
        property: Option<String>,
        /// The value.
        value: Pipeline,
    },
    /// `foreach ($i in $x) { … }`.
    Foreach {
        /// The variable.
        variable: String,
        /// What it runs through.
        list: Pipeline,
        /// What is done with each.
        body: Script,
    },
    /// `if (…) { … } else { … }`; `elseif` is an `if` in the last part.
    If {
        /// The condition.
        condition: Pipeline,
        /// If it is true.
        yes: Script,
        /// If it is not.
        no: Script,
    },
}

/// Stages that hand objects on.
#[derive(Clone, PartialEq, Debug)]
pub struct Pipeline {
    /// At least one.
    pub stages: Vec<Stage>,
    /// `> path`.
    pub redirect: Option<Redirect>,
}

/// Where the output goes.
#[derive(Clone, PartialEq, Debug)]
pub struct Redirect {
    /// `>>`: behind what is there.
    pub append: bool,
    /// The file.
    pub path: Expression,
}

/// A stage.
#[derive(Clone, PartialEq, Debug)]
pub enum Stage {
    /// A cmdlet with what stands behind it.
    Command {
        /// As typed.
        name: String,
        /// In their order.
        elements: Vec<Element>,
    },
    /// A value.
    Value(Expression),
}

/// What stands behind the name of a cmdlet.
#[derive(Clone, PartialEq, Debug)]
pub enum Element {
    /// `-Identity`, `-Confirm:$false`, `-Identity:` (a colon and no value).
    Parameter {
        /// Without the dash.
        name: String,
        /// Whether a colon follows.
        colon: bool,
        /// What follows the colon.
        value: Option<Expression>,
    },
    /// A word or value.
    Argument(Expression),
}

/// How a text is quoted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quote {
    /// Not at all: `site:*`. A number in it is a number.
    Bare,
    /// Single: every character is itself.
    Single,
    /// Double: variables are replaced.
    Double,
}

/// A piece of a text.
#[derive(Clone, PartialEq, Debug)]
pub enum Part {
    /// Itself.
    Text(String),
    /// `$x` or `$(…)` in it.
    Value(Expression),
}

/// A value to be found.
#[derive(Clone, PartialEq, Debug)]
pub enum Expression {
    /// A text in pieces.
    Text(Quote, Vec<Part>),
    /// `40`, `1MB`, as typed.
    Number(String),
    /// `$x`.
    Variable(String),
    /// `a, b`.
    List(Vec<Expression>),
    /// `@( … )`.
    Array(Script),
    /// `@{ Add = "x" }`.
    Table(Vec<(String, Pipeline)>),
    /// `{ … }`.
    Block(Script),
    /// `( … )`.
    Group(Box<Pipeline>),
    /// `$( … )`.
    Script(Script),
    /// `@parameters`.
    Splat(String),
    /// `$x.Name`.
    Member(Box<Expression>, String),
    /// `$x.Add("y")`.
    Call(Box<Expression>, String, Vec<Expression>),
    /// `$x[0]`.
    Index(Box<Expression>, Box<Expression>),
    /// `-not`, `!`, `-`.
    Unary(Unary, Box<Expression>),
    /// `[int]$x`.
    Cast(Cast, Box<Expression>),
    /// `a -eq b`.
    Binary(Binary, Box<Expression>, Box<Expression>),
}

/// An operator with one side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unary {
    /// `-not`, `!`.
    Not,
    /// `-`.
    Minus,
}

/// A type that a value is made to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cast {
    /// A whole number.
    Integer,
    /// A text.
    Text,
    /// True or false.
    Boolean,
    /// A time span.
    Span,
    /// A list, of whatever is in it.
    List,
    /// An object whose properties are the entries of a table.
    Object,
    /// Nothing: what it is put before shows nothing.
    Nothing,
}

impl Cast {
    /// The types by their words, the usual one first.
    pub const WORDS: [(&'static str, Cast); 16] = [
        ("int", Cast::Integer),
        ("int32", Cast::Integer),
        ("int64", Cast::Integer),
        ("uint16", Cast::Integer),
        ("uint32", Cast::Integer),
        ("long", Cast::Integer),
        ("byte", Cast::Integer),
        ("string", Cast::Text),
        ("bool", Cast::Boolean),
        ("boolean", Cast::Boolean),
        ("timespan", Cast::Span),
        ("array", Cast::List),
        ("pscustomobject", Cast::Object),
        ("psobject", Cast::Object),
        ("ordered", Cast::Object),
        ("void", Cast::Nothing),
    ];

    /// The type of that word, in any case.
    pub fn of_word(word: &str) -> Option<Cast> {
        Cast::WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, cast)| *cast)
    }
}

/// An operator with two sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    /// `-and`.
    And,
    /// `-or`.
    Or,
    /// `-eq`.
    Eq,
    /// `-ne`.
    Ne,
    /// `-gt`.
    Gt,
    /// `-ge`.
    Ge,
    /// `-lt`.
    Lt,
    /// `-le`.
    Le,
    /// `-like`.
    Like,
    /// `-notlike`.
    NotLike,
    /// `-match`.
    Match,
    /// `-notmatch`.
    NotMatch,
    /// `-contains`.
    Contains,
    /// `-notcontains`.
    NotContains,
    /// `-in`.
    In,
    /// `-notin`.
    NotIn,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Remainder,
    /// `..`: the numbers from one to the other.
    Range,
    /// `-f`: a text with places that values are put into.
    Format,
    /// `-join`.
    Join,
    /// `-split`.
    Split,
    /// `-replace`.
    Replace,
}

impl Binary {
    /// The operators that are words, with the word and how tightly they bind.
    pub const WORDS: [(&'static str, Binary, u8); 20] = [
        ("and", Binary::And, 1),
        ("or", Binary::Or, 1),
        ("eq", Binary::Eq, 2),
        ("ne", Binary::Ne, 2),
        ("gt", Binary::Gt, 2),
        ("ge", Binary::Ge, 2),
        ("lt", Binary::Lt, 2),
        ("le", Binary::Le, 2),
        ("like", Binary::Like, 2),
        ("notlike", Binary::NotLike, 2),
        ("match", Binary::Match, 2),
        ("notmatch", Binary::NotMatch, 2),
        ("contains", Binary::Contains, 2),
        ("notcontains", Binary::NotContains, 2),
        ("in", Binary::In, 2),
        ("notin", Binary::NotIn, 2),
        ("join", Binary::Join, 2),
        ("split", Binary::Split, 2),
        ("replace", Binary::Replace, 2),
        ("f", Binary::Format, 5),
    ];

    /// The operator of that word; `-ceq` and `-ieq` are `-eq`.
    pub fn of_word(word: &str) -> Option<(Binary, u8)> {
        let word = word.to_ascii_lowercase();
        let find = |word: &str| Binary::WORDS.iter().find(|(name, ..)| *name == word);
        let found = find(&word).or_else(|| find(word.strip_prefix(['c', 'i'])?));
        found.map(|(_, operator, tightness)| (*operator, *tightness))
    }
}
