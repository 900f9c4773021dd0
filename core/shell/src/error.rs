//! Why a statement was not carried out, in the words and with the names that PowerShell has for it.

use crate::language::Wrong;

/// What kind of error it is, as `FullyQualifiedErrorId` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The text can't be read.
    ParserError,
    /// There is no such cmdlet.
    CommandNotFound,
    /// A documented cmdlet, about something that Carillon doesn't have.
    NotSupported,
    /// There is no such parameter.
    NamedParameterNotFound,
    /// An abbreviation that fits several parameters.
    AmbiguousParameter,
    /// A parameter stands without its value.
    MissingArgument,
    /// A parameter that is needed is not there.
    MissingMandatoryParameter,
    /// A value without a parameter that could take it.
    PositionalParameterNotFound,
    /// Parameters that exclude each other.
    AmbiguousParameterSet,
    /// A value of another type.
    CannotConvertArgument,
    /// A value outside of what is allowed.
    ParameterArgumentValidationError,
    /// An object from the pipeline that no parameter takes.
    InputObjectNotBound,
    /// There is no such object.
    ObjectNotFound,
    /// There is one already.
    ObjectExists,
    /// The change would break the plan or another object.
    InvalidOperation,
    /// The server or a file could not be used.
    HostFailure,
}

/// An error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// What kind.
    pub fault: Fault,
    /// What was attempted, with what, and what to do.
    pub text: String,
}

impl Error {
    pub(crate) fn new(fault: Fault, text: impl Into<String>) -> Error {
        Error { fault, text: text.into() }
    }
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Error {
        Error::new(Fault::ParserError, wrong.to_string())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{:?}]", self.text, self.fault)
    }
}

impl std::error::Error for Error {}
