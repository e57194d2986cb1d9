//! Conditions: CEL, checked whole when they are made, and bounded so that none can hold an agent up.
//!
//! The interpreter has no budget of its own, and finds unknown names only when it meets them. So everything that
//! can be known is known at creation: syntax, names, functions, regular expressions, how deep comprehensions nest and
//! what they range over. What depends on the data (how long its lists are) is checked before each evaluation.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, ExecutionError, IdedExpr, Program, Value,
    common::{
        ast::{EntryExpr, Expr, LiteralValue, SourceInfo, operators},
        types::{CelBool, CelString},
    },
};
use regex::Regex;

use super::facts::Facts;

/// The longest source of one condition or message, in bytes.
pub(crate) const MAX_SOURCE_BYTES: usize = 4_096;
/// How deep `all`, `exists`, `map` and `filter` may nest.
const MAX_NESTING: u32 = 2;
/// The steps that the comprehensions of one evaluation may take, and the bytes that it may walk over: every function
/// may read the whole event, and every `+` may copy all that the ones before it put together.
const MAX_STEPS: u64 = 10_000;
const MAX_WALKED_BYTES: u64 = 256 * 1024 * 1024;
/// Compiled regular expressions kept per thread.
const MAX_REGEXES: usize = 256;

/// The variables of a condition, and the fields of those that are ours to name.
const VARIABLES: [&str; 4] = ["event", "node", "run", "repeats"];
pub(super) const EVENT_FIELDS: [&str; 21] = [
    "seq",
    "type",
    "data",
    "run_id",
    "node_id",
    "parent_id",
    "name",
    "start_ts",
    "end_ts",
    "duration_ms",
    "token_count",
    "input_tokens",
    "output_tokens",
    "model",
    "latency_ms",
    "replay_checkpoint",
    "checkpoint_id",
    "metadata",
    "effect",
    "match_key",
    "run_end",
];
pub(super) const NODE_FIELDS: [&str; 1] = ["depth"];
pub(super) const RUN_FIELDS: [&str; 3] = ["events", "tokens", "elapsed_ms"];
const FUNCTIONS: [&str; 13] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "lowerAscii",
    "upperAscii",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "type",
];

/// The functions that conditions may call: the standard ones, and those on strings that people expect beside them.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    let added = [
        cel::add_member_overload!(env, fn matches: (CelString, CelString) -> Result<CelBool>),
        cel::add_member_overload!(env, fn lower_ascii: (CelString) -> CelString, name = "lowerAscii", id = "lower_ascii"),
        cel::add_member_overload!(env, fn upper_ascii: (CelString) -> CelString, name = "upperAscii", id = "upper_ascii"),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "no standard function has these names");
    Arc::new(env)
});

thread_local! {
    static REGEXES: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
}

fn matches(text: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    let compiled = REGEXES.with_borrow_mut(|known| {
        if known.len() >= MAX_REGEXES && !known.contains_key(pattern.inner()) {
            known.clear();
        }
        known.entry(pattern.inner().to_owned()).or_insert_with(|| Regex::new(pattern.inner()).ok()).clone()
    });
    let regex = compiled.ok_or_else(|| ExecutionError::function_error("matches", "not a regular expression"))?;
    Ok(CelBool::from(regex.is_match(text.inner())))
}

fn lower_ascii(text: &CelString<'_>) -> CelString<'static> {
    CelString::from(text.inner().to_ascii_lowercase())
}

fn upper_ascii(text: &CelString<'_>) -> CelString<'static> {
    CelString::from(text.inner().to_ascii_uppercase())
}

/// An empty scope in which conditions are evaluated.
pub(super) fn scope() -> Context<'static, 'static> {
    Context::with_env(ENV.clone())
}

/// One compiled expression.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) source: Box<str>,
    program: Program,
    nesting: u32,
    /// The longest list that the source itself spells out.
    longest_literal: u64,
    /// How many times over it may read an event, in one step.
    reads: u64,
}

impl Condition {
    /// Compiles a condition over an event.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        Self::over(source, &VARIABLES)
    }

    /// Compiles a condition over `hits`.
    pub(crate) fn over_hits(source: &str) -> Result<Self, String> {
        Self::over(source, &["hits"])
    }

    fn over(source: &str, variables: &[&str]) -> Result<Self, String> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(format!("must be at most {MAX_SOURCE_BYTES} bytes"));
        }
        let program = ENV.compile(source).map_err(|errors| {
            let first = errors.errors.first();
            first.map_or_else(
                || "does not compile".to_owned(),
                |error| {
                    let said = error.msg.lines().next().unwrap_or_default();
                    format!("does not compile at line {} column {}: {said}", error.pos.0, error.pos.1)
                },
            )
        })?;
        let scope = variables.to_vec();
        let mut checker =
            Checker { source: program.source_info(), scope, longest_literal: 0, functions: 0, additions: 0 };
        let nesting = checker.visit(program.expression())?;
        let longest_literal = checker.longest_literal;
        let reads = (checker.additions + 1).saturating_pow(2).max(checker.functions);
        Ok(Self { source: source.into(), nesting, longest_literal, reads, program })
    }

    /// Evaluates the condition. A field that is missing makes it false.
    pub(crate) fn holds(&self, facts: &Facts) -> Result<bool, String> {
        match self.value(facts) {
            Ok(Some(Value::Bool(holds))) => Ok(holds),
            Ok(None) => Ok(false),
            Ok(Some(other)) => Err(format!("gives a {}, not true or false", other.type_of())),
            Err(problem) => Err(problem),
        }
    }

    /// Evaluates to any value; nothing where a field is missing.
    pub(super) fn value(&self, facts: &Facts) -> Result<Option<Value>, String> {
        let longest = facts.longest_list.max(self.longest_literal);
        let steps = longest.saturating_pow(self.nesting);
        if self.nesting > 0 && steps > MAX_STEPS {
            return Err(format!("is too expensive for this event, whose longest list has {longest} elements"));
        }
        let walked = steps.max(1).saturating_mul(self.reads).saturating_mul(facts.bytes);
        if walked > MAX_WALKED_BYTES {
            return Err(format!("is too expensive for this event of {} bytes", facts.bytes));
        }
        match self.program.execute(&facts.scope) {
            Ok(value) => Ok(Some(value)),
            Err(ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_)) => Ok(None),
            Err(error) => Err(short(&error)),
        }
    }
}

/// An error without the values in it: they may be megabytes, and they are the agent's.
fn short(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(_) => error.to_string(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "divides by zero".into(),
        ExecutionError::Overflow(operator, ..) => format!("overflows at {operator}"),
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("compares a {} with a {}", left.type_of(), right.type_of())
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            format!("has no {operator} for a {} and a {}", left.type_of(), right.type_of())
        }
        ExecutionError::FunctionError { function, .. } => format!("fails in {function}"),
        _ => "fails with these values".into(),
    }
}

/// Walks an expression once, when it is made.
struct Checker<'a> {
    source: &'a SourceInfo,
    /// The variables in sight; those of comprehensions come and go.
    scope: Vec<&'a str>,
    longest_literal: u64,
    /// Calls that may read all of an event, and those that may copy what others made.
    functions: u64,
    additions: u64,
}

impl<'a> Checker<'a> {
    /// Refuses what names nothing or could take too long. Says how deep comprehensions nest.
    fn check(&mut self, id: u64, expr: &'a Expr) -> Result<u32, String> {
        match expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(0),
            Expr::Ident(name) => match self.scope.contains(&name.as_str()) || TYPES.contains(&name.as_str()) {
                true => Ok(0),
                false => Err(self.at(id, &format!("there is no variable `{name}`"))),
            },
            Expr::Select(select) => {
                if let Expr::Ident(root) = &select.operand.expr {
                    self.check_field(id, root, &select.field)?;
                }
                self.visit(&select.operand)
            }
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                // Operators are calls of names that no source can spell.
                let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
                self.functions += u64::from(!matches!(name, operators::LOGICAL_AND | operators::LOGICAL_OR));
                self.additions += u64::from(name == operators::ADD);
                if !is_operator && !FUNCTIONS.contains(&name) {
                    return Err(self.at(id, &format!("there is no function `{name}`")));
                }
                if name == "matches" {
                    self.check_pattern(id, call.args.last())?;
                }
                let parts = call.target.as_deref().into_iter().chain(&call.args);
                parts.map(|part| self.visit(part)).try_fold(0, |deepest, part| Ok(deepest.max(part?)))
            }
            Expr::List(list) => {
                self.longest_literal = self.longest_literal.max(list.elements.len() as u64);
                list.elements.iter().map(|part| self.visit(part)).try_fold(0, |deepest, part| Ok(deepest.max(part?)))
            }
            Expr::Map(map) => {
                self.longest_literal = self.longest_literal.max(map.entries.len() as u64);
                let parts = map.entries.iter().flat_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                    EntryExpr::StructField(field) => vec![&field.value],
                });
                parts.map(|part| self.visit(part)).try_fold(0, |deepest, part| Ok(deepest.max(part?)))
            }
            Expr::Struct(_) => Err(self.at(id, "there are no messages to construct")),
            Expr::Comprehension(all) => {
                if !is_bounded_range(&all.iter_range.expr) {
                    return Err(self.at(id, "may range only over a field or a list that is spelled out"));
                }
                let range = self.visit(&all.iter_range)?;
                let seen = self.scope.len();
                self.scope.extend([all.iter_var.as_str(), all.accu_var.as_str()]);
                self.scope.extend(all.iter_var2.as_deref());
                let parts = [&all.accu_init, &all.loop_cond, &all.loop_step, &all.result];
                let inner = parts
                    .map(|part| self.visit(part))
                    .into_iter()
                    .try_fold(0, |deepest, part| part.map(|part| u32::max(deepest, part)));
                self.scope.truncate(seen);
                let nesting = range.max(inner? + 1);
                match nesting > MAX_NESTING {
                    true => Err(self.at(id, &format!("comprehensions may nest {MAX_NESTING} deep"))),
                    false => Ok(nesting),
                }
            }
        }
    }

    fn visit(&mut self, part: &'a IdedExpr) -> Result<u32, String> {
        self.check(part.id, &part.expr)
    }

    /// The fields of what is ours are known; what an agent puts into `data` and `metadata` is not.
    fn check_field(&self, id: u64, root: &str, field: &str) -> Result<(), String> {
        let known = match root {
            "event" => EVENT_FIELDS.as_slice(),
            "node" => &NODE_FIELDS,
            "run" => &RUN_FIELDS,
            _ => return Ok(()),
        };
        match known.contains(&field) {
            true => Ok(()),
            false => Err(self.at(id, &format!("there is no `{root}.{field}`"))),
        }
    }

    fn check_pattern(&self, id: u64, pattern: Option<&IdedExpr>) -> Result<(), String> {
        let Some(Expr::Literal(LiteralValue::String(pattern))) = pattern.map(|pattern| &pattern.expr) else {
            return Err(self.at(id, "matches wants a pattern that is spelled out"));
        };
        match Regex::new(pattern.inner()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let problem = error.to_string();
                let last = problem.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Err(self.at(id, &format!("the pattern is no regular expression: {last}")))
            }
        }
    }

    /// A problem with its place.
    fn at(&self, id: u64, problem: &str) -> String {
        let Some((start, _)) = self.source.offset_for(id) else { return problem.to_owned() };
        let before = self.source.source.get(..start as usize).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{problem}, at line {line} column {column}")
    }
}

/// The names of types, which `type(x) == string` compares with.
const TYPES: [&str; 9] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// Whether the length of a range is known to be that of a list in the data or in the source.
fn is_bounded_range(range: &Expr) -> bool {
    match range {
        Expr::Ident(_) | Expr::List(_) | Expr::Map(_) => true,
        Expr::Select(select) => is_bounded_range(&select.operand.expr),
        Expr::Call(call) if call.func_name == operators::INDEX => {
            call.target.as_deref().into_iter().chain(&call.args).next().is_some_and(|base| is_bounded_range(&base.expr))
        }
        // The result of a filter or a map is no longer than what it ranged over.
        Expr::Comprehension(inner) => is_bounded_range(&inner.iter_range.expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Seq, session::fixtures::event};

    fn holds(condition: &str, data: &str) -> Result<bool, String> {
        let facts = Facts::of(&event(Seq(7), data));
        Condition::compile(condition)?.holds(&facts)
    }

    #[test]
    fn conditions_see_the_event_and_its_surroundings() {
        let data = r#"{"n":3,"f":2.5,"big":18446744073709551615,"text":"Hello","list":[1,2,{"k":"v"}],"none":null}"#;
        for (condition, expected) in [
            ("", true),
            ("event.data.n == 3 && event.type == 'log'", true),
            ("event.data.n + 1 == 4", true),
            ("event.data.n * 2 > event.data.f", true),
            ("event.data.text.lowerAscii().contains('hell')", true),
            ("event.data.text.matches('^H.*o$')", true),
            ("event.data.list.exists(x, x == 2)", true),
            ("event.data.list[2].k == 'v'", true),
            ("size(event.data.list) == 3", true),
            ("event.data.none == null", true),
            ("event.name == null", true),
            ("has(event.data.text) && !has(event.data.nothing)", true),
            ("event.data.nothing > 3", false),
            ("has(event.data.a.b)", false),
            ("event.data.nothing == 1 || event.data.n == 3", true),
            ("event.data.list[9] == 1", false),
            ("event.seq == 7 && node.depth == 0 && run.events == 1 && repeats == 0", true),
            ("type(event.data.text) == string", true),
        ] {
            let condition = if condition.is_empty() { "true" } else { condition };
            assert_eq!(holds(condition, data), Ok(expected), "{condition}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused_with_its_place() {
        for (condition, problem) in [
            ("event.data.n ==", "line 1 column"),
            ("events.data.n == 1", "no variable `events`, at line 1 column 1"),
            ("true &&\n  foo", "no variable `foo`, at line 2 column 3"),
            ("event.dat.n == 1", "no `event.dat`"),
            ("run.cost > 1", "no `run.cost`"),
            ("shout(event.name)", "no function `shout`"),
            ("event.data.text.shout()", "no function `shout`"),
            ("event.data.text.matches('(')", "no regular expression"),
            ("event.data.text.matches(event.data.p)", "spelled out"),
            ("hits > 3", "no variable `hits`"),
        ] {
            let refused = Condition::compile(condition).expect_err(condition);
            assert!(refused.contains(problem), "{condition}: {refused}");
        }
        assert!(Condition::over_hits("hits % 3 == 0").is_ok());
        assert!(Condition::over_hits("event.seq == 1").is_err());
        assert!(Condition::compile(&format!("true{}", " || true".repeat(600))).is_err());
    }

    #[test]
    fn what_fails_says_so_without_the_values() {
        let refused = holds("event.data.text + 1 == 2", r#"{"text":"secret"}"#).expect_err("no overload");
        assert!(!refused.contains("secret"), "{refused}");
        assert!(holds("event.data.n", r#"{"n":3}"#).expect_err("no bool").contains("int"));
        assert!(holds("1 / event.data.n == 1", r#"{"n":0}"#).expect_err("zero").contains("zero"));
    }

    #[test]
    fn no_condition_can_take_long() {
        let digits = "[0,1,2,3,4,5,6,7,8,9]";
        let two = format!("{digits}.all(a, {digits}.all(b, a + b < 99))");
        assert_eq!(holds(&two, "{}"), Ok(true));
        let three = format!("{digits}.all(a, {digits}.all(b, {digits}.all(c, a + b + c < 99)))");
        assert!(Condition::compile(&three).expect_err("too deep").contains("nest 2 deep"));
        let long = format!("{{\"l\":[{}]}}", vec!["1"; 200].join(","));
        assert_eq!(holds("event.data.l.all(a, a == 1)", &long), Ok(true));
        let square = "event.data.l.all(a, event.data.l.all(b, a == b))";
        assert!(holds(square, &long).expect_err("40,000 steps").contains("too expensive"));
        let text = format!("{{\"t\":\"{}\"}}", "x".repeat(3_000_000));
        assert_eq!(holds("event.data.t.size() == 3000000 && event.data.t.startsWith('x')", &text), Ok(true));
        let sum = vec!["event.data.t"; 50].join(" + ");
        let refused = holds(&format!("({sum}).size() > 1"), &text).expect_err("150 MB");
        assert!(refused.contains("too expensive"), "{refused}");
        assert_eq!(holds(&format!("({sum}).size() == 50"), r#"{"t":"x"}"#), Ok(true));
        let grown = format!("({digits} + {digits}).all(a, true)");
        assert!(Condition::compile(&grown).expect_err("unbounded").contains("range only over"));
    }
}
