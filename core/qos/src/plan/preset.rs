//! Well-known plans, as files of the same kind that an administrator writes.

use serde::Serialize;

use super::Plan;
use super::raw;
use super::resolve::{all_default, resolve};

/// A plan that comes with the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Preset {
    /// The name for `base` and on the command line.
    pub name: &'static str,
    /// A product's published values are defaults; what a guide configures on top of a product is set.
    pub product: bool,
    /// The file.
    #[serde(skip)]
    pub text: &'static str,
}

macro_rules! preset {
    ($name:literal, product: $product:literal) => {
        Preset {
            name: $name,
            product: $product,
            text: include_str!(concat!("../../presets/", $name, ".toml")),
        }
    };
}

/// Every preset.
pub const PRESETS: [Preset; 7] = [
    preset!("lync", product: true),
    preset!("lync-kloud", product: false),
    preset!("technet", product: false),
    preset!("schertz-vvx", product: false),
    preset!("teams", product: true),
    preset!("cisco", product: true),
    preset!("rfc8837", product: true),
];

/// The preset as a plan of its own.
pub(super) fn load(name: &str) -> Option<Plan> {
    let preset = PRESETS.iter().find(|preset| preset.name == name)?;
    let (raw, mut problems) = raw::read(preset.text);
    let mut plan = resolve(raw, &mut problems);
    if preset.product {
        plan.base = Some(name.to_owned());
        all_default(&mut plan, |source| source.unwrap_or(name).to_owned());
    }
    // A preset with problems would be a broken build; the tests read every one.
    problems.is_empty().then_some(plan)
}

/// The preset as the base of another plan: there all its values are defaults.
pub(super) fn as_base(name: &str) -> Option<Plan> {
    let mut plan = load(name)?;
    all_default(&mut plan, |source| match source {
        Some(source) => format!("preset {name}: {source}"),
        None => format!("preset {name}"),
    });
    Some(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_sound_file() {
        for preset in PRESETS {
            let (raw, mut problems) = raw::read(preset.text);
            resolve(raw, &mut problems);
            assert_eq!(problems, vec![], "{}", preset.name);
            assert_eq!(load(preset.name).unwrap().name(), preset.name);
        }
    }
}
