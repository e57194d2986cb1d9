//! The enums of the contract under the names that JSON has for them: lower case, without their prefix.

#![warn(missing_docs, unreachable_pub, clippy::all)]

/// An enum of the contract.
pub(crate) trait Named: Sized {
    /// The lower-case name; `unknown` for a number that this contract does not have.
    fn json_name(number: i32) -> String;
    /// The value with that name.
    fn from_json_name(name: &str) -> Option<Self>;
}

/// No name of the contract is as long.
const MAX_NAME_BYTES: usize = 64;

/// The name of an enum value as the contract has it.
fn long_name<'a>(buffer: &'a mut [u8; MAX_NAME_BYTES], prefix: &str, name: &str) -> Option<&'a str> {
    let long = buffer.get_mut(..prefix.len() + name.len())?;
    long[..prefix.len()].copy_from_slice(prefix.as_bytes());
    long[prefix.len()..].copy_from_slice(name.as_bytes());
    long.make_ascii_uppercase();
    std::str::from_utf8(long).ok()
}

macro_rules! named {
    ($($kind:ident, $prefix:literal;)*) => {$(
        impl Named for super::$kind {
            fn json_name(number: i32) -> String {
                let Ok(value) = Self::try_from(number) else { return "unknown".to_owned() };
                let name = value.as_str_name();
                name.strip_prefix($prefix).unwrap_or(name).to_ascii_lowercase()
            }

            fn from_json_name(name: &str) -> Option<Self> {
                if name == "unspecified" || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return None;
                }
                let mut long = [0; MAX_NAME_BYTES];
                Self::from_str_name(long_name(&mut long, $prefix, name)?)
            }
        }
    )*};
}

named! {
    EventType, "EVENT_TYPE_";
    Effect, "EFFECT_";
    Verb, "VERB_";
    HoldPolicy, "HOLD_POLICY_";
    HoldReason, "HOLD_REASON_";
    Outcome, "OUTCOME_";
    Origin, "ORIGIN_";
    RunMode, "RUN_MODE_";
    Mode, "MODE_";
    StepGranularity, "STEP_GRANULARITY_";
    Unattended, "UNATTENDED_";
    OnTimeout, "ON_TIMEOUT_";
    EffectPolicy, "EFFECT_POLICY_";
    OnDivergence, "ON_DIVERGENCE_";
    RowKind, "ROW_KIND_";
}

#[cfg(test)]
mod tests {
    use super::{super::*, Named};

    #[test]
    fn enum_names_are_lower_case_without_prefix() {
        assert_eq!(EventType::json_name(EventType::ToolCall.into()), "tool_call");
        assert_eq!(Outcome::json_name(Outcome::Stepped.into()), "stepped");
        assert_eq!(Outcome::json_name(99), "unknown");
        assert_eq!(Mode::from_json_name("observe"), Some(Mode::Observe));
        assert_eq!(EventType::from_json_name("TOOL_CALL"), None);
        assert_eq!(EventType::from_json_name("unspecified"), None);
    }
}
