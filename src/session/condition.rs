//! Conditions: CEL, checked whole when they are made, and bounded so that none can hold an agent up.
//!
//! The interpreter has no budget of its own, and finds unknown names only when it meets them. So everything that
//! can be known is known at creation: syntax, names, functions, regular expressions, how deep comprehensions nest and
//! what they range over. What depends on the data (how long its lists are) is checked before each evaluation.

pub(crate) mod facts;
pub(crate) mod template;

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use cel::{
    Context, Env, ExecutionError, IdedExpr, Program, Value,
    common::{
        ast::{EntryExpr, Expr, LiteralValue, SourceInfo, operators},
        types::{CelBool, CelString},
    },
};
use regex::{Regex, RegexBuilder};

use self::facts::Facts;

/// The longest source of one condition or message, in bytes.
pub(crate) const MAX_SOURCE_BYTES: usize = 4_096;
/// How deep `all`, `exists`, `map` and `filter` may nest.
const MAX_NESTING: u32 = 2;
/// The steps that the comprehensions of one evaluation may take, and the bytes that it may walk over: every function
/// may read the whole event, and every `+` may copy all that the ones before it put together.
const MAX_STEPS: u64 = 10_000;
const MAX_WALKED_BYTES: u64 = 256 * 1024 * 1024;
/// The signs that make an expression long (operators, calls, selections) and how deep brackets may nest, for the
/// parser; and how deep the parsed expression may be, for evaluating it on the stack of a worker. All of them recurse.
const MAX_OPERATORS: usize = 128;
const MAX_BRACKETS: usize = 24;
const MAX_DEPTH: u32 = 32;
/// What a regular expression may compile to, in bytes; the text that it may be tried on; and how many times dearer
/// than plain reading it is taken to be.
const MAX_REGEX_BYTES: usize = 32 * 1024;
const MAX_MATCHED_BYTES: usize = 64 * 1024;
const MATCH_COST: u64 = 64;
/// What evaluating one part of an expression takes, and how many bytes are walked over meanwhile, about.
const NANOS_PER_NODE: u64 = 100;
const BYTES_PER_NANO: u64 = 4;
/// What reading an event's JSON takes per byte.
const READING_NANOS_PER_BYTE: u64 = 10;
/// Compiled regular expressions kept per thread.
const MAX_REGEXES: usize = 64;

/// The variables of a condition, and the fields of those that are ours to name.
const VARIABLES: [&str; 4] = ["event", "node", "run", "repeats"];
pub(super) const EVENT_FIELDS: [&str; 22] = [
    "origin",
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
        known.entry(pattern.inner().to_owned()).or_insert_with(|| regex(pattern.inner()).ok()).clone()
    });
    if text.inner().len() > MAX_MATCHED_BYTES {
        return Err(ExecutionError::function_error("matches", "the text is longer than 64 KiB"));
    }
    let regex = compiled.ok_or_else(|| ExecutionError::function_error("matches", "not a regular expression"))?;
    Ok(CelBool::from(regex.is_match(text.inner())))
}

/// A regular expression of bounded size.
fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).dfa_size_limit(8 * MAX_REGEX_BYTES).build()
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

/// How large an event is, as far as it is known before it is read.
pub(super) struct Size<'a> {
    texts: [&'a str; 2],
    bytes: u64,
    longest_list: OnceCell<u64>,
}

impl<'a> Size<'a> {
    /// Of an event with this data and metadata.
    pub(super) fn of(data: &'a str, metadata: &'a str) -> Self {
        Self { texts: [data, metadata], bytes: (data.len() + metadata.len()) as u64, longest_list: OnceCell::new() }
    }

    /// What reading it takes.
    pub(super) fn reading(&self) -> Duration {
        Duration::from_nanos(self.bytes.saturating_mul(READING_NANOS_PER_BYTE))
    }

    /// No list in it is longer: there is a comma between any two elements.
    fn longest_list(&self) -> u64 {
        let commas = |text: &str| text.bytes().map(|byte| u64::from(byte == b',')).sum::<u64>();
        *self.longest_list.get_or_init(|| 1 + self.texts.into_iter().map(commas).max().unwrap_or(0))
    }
}

/// One compiled expression.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) source: Box<str>,
    program: Program,
    nesting: u32,
    /// The longest list that the source itself spells out.
    longest_literal: u64,
    /// How many times over it may read an event, in one step; and the parts that it evaluates then.
    reads: u64,
    nodes: u64,
    /// What it looks at: nothing else of an event need be made for it.
    pub(super) sees: Sees,
}

/// What conditions look at: one bit for each field of an event, and for each of the other variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sees(u32);

impl Sees {
    /// Everything there is.
    pub(super) const ALL: Self = Self(u32::MAX);

    /// A field of the event.
    fn field(name: &str) -> Self {
        EVENT_FIELDS.iter().position(|field| *field == name).map_or(Self::ALL, |bit| Self(1 << bit))
    }

    /// A variable beside the event.
    fn variable(name: &str) -> Self {
        let bit = VARIABLES.iter().position(|variable| *variable == name);
        bit.map_or(Self(0), |bit| Self(1 << (EVENT_FIELDS.len() + bit)))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has_field(self, name: &str) -> bool {
        self.0 & Self::field(name).0 != 0
    }

    pub(super) fn has_variable(self, name: &str) -> bool {
        self.0 & Self::variable(name).0 != 0
    }
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
        check_depth(source)?;
        let program = parse(source)?;
        let scope = variables.to_vec();
        let mut checker = Checker {
            source: program.source_info(),
            scope,
            longest_literal: 0,
            sees: Sees::default(),
            depth: 0,
            nodes: 0,
            additions: 0,
            matches: 0,
        };
        let nesting = checker.visit(program.expression())?;
        let longest_literal = checker.longest_literal;
        let reads = (checker.additions + 1).saturating_pow(2).max(checker.nodes).max(checker.matches * MATCH_COST);
        let nodes = checker.nodes;
        Ok(Self { source: source.into(), nesting, longest_literal, reads, nodes, sees: checker.sees, program })
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

    /// About how long it may take on an event of this size: an estimate from above, by what is known of the event
    /// before it is read.
    pub(super) fn cost(&self, size: &Size) -> Duration {
        let longest = if self.nesting == 0 { 1 } else { size.longest_list().max(self.longest_literal) };
        let steps = longest.saturating_pow(self.nesting).clamp(1, MAX_STEPS);
        let evaluated = steps.saturating_mul(self.nodes).saturating_mul(NANOS_PER_NODE);
        let walked = steps.saturating_mul(self.reads).saturating_mul(size.bytes).min(MAX_WALKED_BYTES);
        Duration::from_nanos(evaluated.saturating_add(walked / BYTES_PER_NANO))
    }

    /// Evaluates to any value; nothing where a field is missing.
    pub(super) fn value(&self, facts: &Facts) -> Result<Option<Value>, String> {
        if let Some(problem) = facts.problem {
            return Err(problem.into());
        }
        let longest = facts.longest_list.max(self.longest_literal);
        let steps = longest.saturating_pow(self.nesting);
        if self.nesting > 0 && steps > MAX_STEPS {
            return Err(format!("is too expensive for this event, whose longest list has {longest} elements"));
        }
        let bytes = facts.bytes.max(self.source.len() as u64);
        let walked = steps.max(1).saturating_mul(self.reads).saturating_mul(bytes);
        if walked > MAX_WALKED_BYTES {
            return Err(format!("is too expensive for this event of {} bytes", facts.bytes));
        }
        match self.program.execute(&facts.scope) {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(short(&error)),
        }
    }
}

/// Whether an evaluation failed because there is nothing to look at: no such key, or `null` where a value is due.
fn is_missing(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => true,
        ExecutionError::NoSuchOverload(overload) => {
            overload.argument_types().iter().any(|kind| kind.starts_with("null"))
        }
        ExecutionError::ValuesNotComparable(left, right)
        | ExecutionError::UnsupportedBinaryOperator(_, left, right) => {
            [left, right].into_iter().any(|value| matches!(value, Value::Null))
        }
        _ => false,
    }
}

/// The stack on which sources are parsed: the parser goes through every level of precedence at every bracket.
const PARSER_STACK_BYTES: usize = 64 * 1024 * 1024;

/// Parses a source that is not too deep, on a stack that is deep enough for it.
fn parse(source: &str) -> Result<Program, String> {
    let compile = || {
        ENV.compile(source).map_err(|errors| {
            let Some(first) = errors.errors.first() else { return "does not compile".to_owned() };
            let said = first.msg.lines().next().unwrap_or_default();
            let said = said.split(" expecting {").next().unwrap_or_default();
            format!("does not compile at line {} column {}: {said}", first.pos.0, first.pos.1)
        })
    };
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES).spawn_scoped(scope, compile);
        let parsed = parser.ok().and_then(|parser| parser.join().ok());
        parsed.unwrap_or_else(|| Err("cannot be compiled now".into()))
    })
}

/// Refuses what would recurse too deep, before anything recurses on it.
fn check_depth(source: &str) -> Result<(), String> {
    // Where strings end is plain only for plain strings: with others everything counts.
    let plain = !["\u{27}\u{27}\u{27}", "\"\"\"", "r'", "r\"", "R'", "R\""].iter().any(|raw| source.contains(raw));
    let (mut operators, mut depth, mut quote, mut escaped) = (0_usize, 0_usize, None, false);
    for sign in source.chars() {
        match (quote, sign) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if sign == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if plain => quote = Some(sign),
            (None, '(' | '[' | '{') => {
                operators += 1;
                depth += 1;
            }
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '&' | '|' | '?' | '.') => operators += 1,
            (None, _) => {}
        }
        if depth > MAX_BRACKETS {
            return Err(format!("may nest brackets {MAX_BRACKETS} deep"));
        }
    }
    // `in` is the one operator that is a word.
    if operators + source.split_whitespace().filter(|word| *word == "in").count() > MAX_OPERATORS {
        Err(format!("may hold {MAX_OPERATORS} operators"))
    } else {
        Ok(())
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
    /// The variables in visibility; those of comprehensions come and go.
    scope: Vec<&'a str>,
    longest_literal: u64,
    sees: Sees,
    depth: u32,
    /// Parts of the expression, each of which may read all of an event; those that may copy what others made; and
    /// those that search.
    nodes: u64,
    additions: u64,
    matches: u64,
}

impl<'a> Checker<'a> {
    /// Refuses what names nothing or could take too long. Says how deep comprehensions nest.
    fn check(&mut self, id: u64, expr: &'a Expr) -> Result<u32, String> {
        self.nodes += 1;
        match expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(0),
            Expr::Ident(name) => {
                if self.scope.contains(&name.as_str()) || TYPES.contains(&name.as_str()) {
                    let seen = if name == "event" { Sees::ALL } else { Sees::variable(name) };
                    self.sees = self.sees.and(seen);
                    Ok(0)
                } else {
                    Err(self.at(id, &format!("there is no variable `{name}`")))
                }
            }
            Expr::Select(select) => {
                if let Expr::Ident(root) = &select.operand.expr {
                    self.check_field(id, root, &select.field)?;
                    if root == "event" && self.scope.contains(&"event") {
                        self.sees = self.sees.and(Sees::field(&select.field));
                        return Ok(0);
                    }
                }
                self.visit(&select.operand)
            }
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                // Operators are calls of names that no source can spell.
                let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
                self.additions += u64::from(name == operators::ADD);
                if !is_operator && !FUNCTIONS.contains(&name) {
                    return Err(self.at(id, &format!("there is no function `{name}`")));
                }
                if name == "matches" {
                    self.matches += 1;
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
                if nesting > MAX_NESTING {
                    Err(self.at(id, &format!("comprehensions may nest {MAX_NESTING} deep")))
                } else {
                    Ok(nesting)
                }
            }
        }
    }

    fn visit(&mut self, part: &'a IdedExpr) -> Result<u32, String> {
        if self.depth == MAX_DEPTH {
            return Err(self.at(part.id, &format!("may be {MAX_DEPTH} operations deep")));
        }
        self.depth += 1;
        let nesting = self.check(part.id, &part.expr);
        self.depth -= 1;
        nesting
    }

    /// The fields of what is ours are known; what an agent puts into `data` and `metadata` is not.
    fn check_field(&self, id: u64, root: &str, field: &str) -> Result<(), String> {
        let known = match root {
            "event" => EVENT_FIELDS.as_slice(),
            "node" => &NODE_FIELDS,
            "run" => &RUN_FIELDS,
            _ => return Ok(()),
        };
        if known.contains(&field) { Ok(()) } else { Err(self.at(id, &format!("there is no `{root}.{field}`"))) }
    }

    fn check_pattern(&self, id: u64, pattern: Option<&IdedExpr>) -> Result<(), String> {
        let Some(Expr::Literal(LiteralValue::String(pattern))) = pattern.map(|pattern| &pattern.expr) else {
            return Err(self.at(id, "matches wants a pattern that is spelled out"));
        };
        match regex(pattern.inner()) {
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
            ("event.duration_ms > 5000", false),
            ("event.name.startsWith('x')", false),
            ("event.data.none + 1 > 0", false),
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

    /// On the stack of a worker: parsing, checking, evaluating and dropping all recurse.
    #[test]
    fn no_source_is_too_deep_for_the_stack() {
        let nested = |open: &str, close: &str, times: usize| format!("{}1{}", open.repeat(times), close.repeat(times));
        let run = move || {
            for source in [
                nested("(", ")", 2_000),
                nested("[", "]", 2_000),
                nested("{1:", "}", 1_000),
                nested("size(", ")", 600),
                format!("1{} > 0", "+1".repeat(2_000)),
                format!("event.data{} == 1", ".a".repeat(1_900)),
                format!("event.data{} == 1", "[0]".repeat(1_300)),
                format!("1{}", "==1".repeat(1_300)),
                format!("{}true", "!".repeat(4_000)),
                format!("1{}", "?1:1".repeat(900)),
                format!("1{}", " in [1]".repeat(500)),
            ] {
                assert!(Condition::compile(&source).is_err(), "{source}");
            }
            assert!(
                Condition::compile(&format!("1{} > 0", "+1".repeat(60))).expect_err("deep").contains("32 operations")
            );
            for source in [
                nested("(", ")", MAX_BRACKETS) + " == 1",
                nested("[", "]", MAX_BRACKETS) + " == []",
                format!("1{} > 0", "+1".repeat(MAX_DEPTH as usize - 2)),
                format!("event.data{} == 1", ".a".repeat(MAX_DEPTH as usize - 3)),
                format!("true{}", " && true".repeat(60)),
                format!("1{}", "?1:1".repeat(28)),
                format!("1{}", " in [1]".repeat(15)),
            ] {
                // Whether it compiles is for the parser to say; that it says so is what counts.
                if let Ok(condition) = Condition::compile(&source) {
                    let _ = condition.holds(&Facts::of(&event(Seq(1), "{}")));
                }
            }
        };
        let worker = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(run).expect("a thread");
        worker.join().expect("no overflow, no panic");
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_never_an_empty_event() {
        let many = format!("{{\"l\":[{}0]}}", "0,".repeat(100_001));
        for data in [r#"{"n":3,"t":"\ud83d"}"#, r#"{"n":3,"x":1e999}"#, &many] {
            let refused = holds("event.data.n == 3", data).expect_err("not readable");
            assert!(refused.contains("data"), "{refused}");
        }
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
        let sum = vec!["event.data.t"; 60].join(" + ");
        assert!(Condition::compile(&sum).expect_err("operators").contains("128 operators"));
        let sum = vec!["event.data.t"; 18].join(" + ");
        let refused = holds(&format!("({sum}).size() > 1"), &text).expect_err("54 MB");
        assert!(refused.contains("too expensive"), "{refused}");
        assert_eq!(holds(&format!("({sum}).size() == 18"), r#"{"t":"x"}"#), Ok(true));
        let searched = holds("event.data.t.matches('[01]*1[01]{200}x')", &text).expect_err("too long a text");
        assert!(searched.contains("too expensive") || searched.contains("matches"), "{searched}");
        let huge = Condition::compile(r"event.data.t.matches('\\w{150}x')").expect_err("too large a pattern");
        assert!(huge.contains("regular expression"), "{huge}");
        let chained = Condition::compile("[0].map(a, [a, a]).map(a, [a, a]) == []").expect_err("doubles");
        assert!(chained.contains("range only over"), "{chained}");
        let grown = format!("({digits} + {digits}).all(a, true)");
        assert!(Condition::compile(&grown).expect_err("unbounded").contains("range only over"));
    }
}
