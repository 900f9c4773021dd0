//! The annotated sample: every setting with its meaning and default, made from the table.

use super::settings::{Occurs, Section, ServerRole, Setting, Unset};

const HEAD: &str = "\
# Carillon's configuration. A line that begins with \"#\" and holds a key shows what holds without it: remove the \"#\"
# to change it. `carillon check-config FILE` says what is wrong with a file; `carillon check-config --sample` prints
# such a file. Relative paths begin at the directory of this file.
";

/// The whole sample of a role.
pub fn sample(role: ServerRole) -> String {
    let mut out = HEAD.to_owned();
    for section in role.sections() {
        write_section(section, &mut out);
    }
    out
}

fn write_section(section: &Section, out: &mut String) {
    out.push('\n');
    comment(section.help, out);
    // A list that stands in the sample would replace what holds without it, and an optional section be switched on.
    let (open, close, off) = match section.occurs {
        Occurs::Once => ("[", "]", ""),
        Occurs::Optional => ("[", "]", "# "),
        Occurs::Repeated => ("[[", "]]", "# "),
    };
    if !section.name.is_empty() {
        out.push_str(&format!("{off}{open}{}{close}\n", section.name));
    }
    for (number, setting) in section.settings.iter().enumerate() {
        if number > 0 || section.name.is_empty() {
            out.push_str(if number > 0 { "\n" } else { "" });
        }
        write_setting(setting, off, out);
    }
}

fn write_setting(setting: &Setting, off: &str, out: &mut String) {
    comment(setting.help, out);
    let (note, off, value) = match setting.unset {
        Unset::Required(example) => ("", off, example),
        Unset::Default(value) => ("", "# ", value),
        Unset::Follows { from, example } => (from, "# ", example),
    };
    if !note.is_empty() {
        comment(&format!("Without it: {note}."), out);
    }
    out.push_str(&format!("{off}{} = {value}\n", setting.key));
}

fn comment(text: &str, out: &mut String) {
    for line in text.lines() {
        out.push_str(&format!("# {line}\n"));
    }
}
