//! The enums of the contract under the names that JSON has for them: lower case, without their prefix.

#![warn(missing_docs, unreachable_pub, clippy::all)]

/// An enum of the contract.
pub(crate) trait Named: Sized {
    /// The lower-case name; `unknown` for a number that this contract does not have.
    fn json_name(number: i32) -> String;
    /// The value with that name.
    fn from_json_name(name: &str) -> Option<Self>;
}

/// Whether a name is another one in lower case.
fn is_lower_case_of(name: &str, long: Option<&str>) -> bool {
    let same = |(left, right): (u8, u8)| left == right.to_ascii_lowercase();
    long.is_some_and(|long| long.len() == name.len() && name.bytes().zip(long.bytes()).all(same))
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
                // What is 0 is unspecified, and has no name in JSON.
                let mut values = (1..).map_while(|number| Self::try_from(number).ok());
                values.find(|value| is_lower_case_of(name, value.as_str_name().strip_prefix($prefix)))
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

    #[test]
    fn every_value_but_the_unspecified_one_is_found_by_its_name() {
        fn check<T: Named + TryFrom<i32> + PartialEq + std::fmt::Debug>() {
            let values: Vec<_> = (1..=100).filter_map(|number| Some((number, T::try_from(number).ok()?))).collect();
            assert!(!values.is_empty());
            for (number, value) in values {
                assert_eq!(T::from_json_name(&T::json_name(number)), Some(value));
            }
        }
        check::<EventType>();
        check::<Effect>();
        check::<Verb>();
        check::<HoldPolicy>();
        check::<HoldReason>();
        check::<Outcome>();
        check::<Origin>();
        check::<RunMode>();
        check::<Mode>();
        check::<StepGranularity>();
        check::<Unattended>();
        check::<OnTimeout>();
        check::<EffectPolicy>();
        check::<OnDivergence>();
        check::<RowKind>();
    }
}
