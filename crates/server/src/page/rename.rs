//! Gives the variables of a script short names, and writes constants that are numbers where they are used.
//!
//! Properties keep their names. Like all of compaction, this knows the syntax that our scripts use and no more: no `var`, no
//! labels, no `case` with braces.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// Returns the tokens with other names; one that is not needed any more is empty. Spaces and comments are not tokens.
/// `reachable` are the names of variables outside of every function that stay.
pub(super) fn names(tokens: &[&str], reachable: &[&str]) -> Vec<String> {
    let brackets = Brackets::of(tokens);
    let mut scopes = Scopes::of(tokens, &brackets);
    scopes.declare(tokens, &brackets, reachable);
    let usages: Vec<Usage> = (0..tokens.len())
        .map(|at| usage(tokens, at, brackets.around[at]))
        .collect();
    // What keeps its name must not be hidden by a short one.
    let kept: BTreeSet<&str> = (0..tokens.len())
        .filter(|at| usages[*at] != Usage::Other && scopes.slot(tokens[*at], *at).is_none())
        .map(|at| tokens[at])
        .collect();
    let names = (0..).map(short_name);
    let names: Vec<String> = names
        .filter(|name| !kept.contains(name.as_str()))
        .take(SLOTS_MAX)
        .collect();
    let numbers = Numbers::of(tokens, &brackets);
    let renamed = tokens.iter().enumerate().map(|(at, token)| {
        let slot = scopes.slot(token, at);
        let number = numbers
            .values
            .get(token)
            .filter(|_| slot.is_none_or(|slot| scopes.is_outermost(slot)));
        let name = number.or(slot.map(|slot| &names[slot])).cloned();
        match (usages[at], name) {
            _ if numbers.declarations.iter().any(|range| range.contains(&at)) => String::new(),
            _ if is_around_only_parameter(tokens, at) => String::new(),
            (Usage::Variable, Some(name)) => name,
            (Usage::Shorthand, Some(name)) => format!("{token}:{name}"),
            _ => (*token).to_owned(),
        }
    });
    renamed.collect()
}

/// The constants outside of every function that are numbers.
struct Numbers<'a> {
    values: BTreeMap<&'a str, String>,
    /// `const NAME = 1;`
    declarations: Vec<Range<usize>>,
}

impl<'a> Numbers<'a> {
    fn of(tokens: &[&'a str], brackets: &Brackets) -> Self {
        let mut numbers = Self {
            values: BTreeMap::new(),
            declarations: Vec::new(),
        };
        for at in 0..tokens.len() {
            if let Some(["const", name, "=", number, ";"]) = tokens.get(at..at + 5)
                && brackets.depth[at] == 0
                && number.starts_with(|letter: char| letter.is_ascii_digit())
            {
                numbers.values.insert(name, number.replace('_', ""));
                numbers.declarations.push(at..at + 5);
            }
        }
        numbers
    }
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    /// No word, or a property.
    Other,
    /// A variable, or a keyword, which nothing declares.
    Variable,
    /// Both a property and a variable: `{ name }`.
    Shorthand,
}

fn usage(tokens: &[&str], at: usize, around: Enclosed) -> Usage {
    let before = previous(tokens, at);
    let is_member = before == "." && !tokens[..at].ends_with(&[".", ".", "."]);
    if !is_name(tokens[at]) || is_member || around == Enclosed::Methods {
        return Usage::Other;
    }
    if around == Enclosed::Properties && matches!(before, "{" | ",") {
        return match next(tokens, at) {
            ":" | "(" => Usage::Other,
            _ => Usage::Shorthand,
        };
    }
    Usage::Variable
}

/// What a bracket encloses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enclosed {
    Statements,
    /// Those of an object, or of a pattern that takes one apart.
    Properties,
    /// Those of a class.
    Methods,
    /// Within `()`, `[]`, or `${}` of a template.
    Expression,
}

/// The brackets of a script.
struct Brackets {
    /// For each opening bracket, where it is closed.
    closed: Vec<usize>,
    /// For each token, what the innermost bracket around it encloses.
    around: Vec<Enclosed>,
    /// For each token, how many brackets are open.
    depth: Vec<usize>,
}

impl Brackets {
    fn of(tokens: &[&str]) -> Self {
        let mut closed = vec![tokens.len(); tokens.len()];
        let mut around = Vec::with_capacity(tokens.len());
        let mut depth = Vec::with_capacity(tokens.len());
        let mut open: Vec<(usize, Enclosed)> = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            if closes(token)
                && let Some((start, _)) = open.pop()
            {
                closed[start] = at;
            }
            let outer = open
                .last()
                .map_or(Enclosed::Statements, |(_, outer)| *outer);
            around.push(outer);
            depth.push(open.len());
            match *token {
                "{" => open.push((at, braces(tokens, at, outer))),
                _ if opens(token) => open.push((at, Enclosed::Expression)),
                _ => {}
            }
        }
        Self {
            closed,
            around,
            depth,
        }
    }
}

/// Returns what the braces that open here enclose.
fn braces(tokens: &[&str], at: usize, outer: Enclosed) -> Enclosed {
    let before = previous(tokens, at);
    let is_class = at >= 2 && matches!(tokens[at - 2], "class" | "extends");
    match before {
        _ if is_class => Enclosed::Methods,
        ")" | ";" | "}" | "else" | "try" | "catch" | "finally" | "" => Enclosed::Statements,
        "{" if outer == Enclosed::Statements => Enclosed::Statements,
        _ if tokens[..at].ends_with(&["=", ">"]) => Enclosed::Statements,
        _ => Enclosed::Properties,
    }
}

/// The scopes of a script, in the order in which they begin.
struct Scopes<'a> {
    scopes: Vec<Scope<'a>>,
    /// For each token, its innermost scope.
    innermost: Vec<usize>,
}

struct Scope<'a> {
    /// The last token.
    end: usize,
    outer: Option<usize>,
    names: Vec<&'a str>,
    /// The number of its first name.
    first_slot: usize,
}

impl<'a> Scopes<'a> {
    /// Finds the scopes: the script itself, blocks, functions with their parameters, and loops with what their heads declare.
    fn of(tokens: &[&'a str], brackets: &Brackets) -> Self {
        let scope = |end, outer| Scope {
            end,
            outer,
            names: Vec::new(),
            first_slot: 0,
        };
        let mut scopes = vec![scope(tokens.len(), None)];
        let mut innermost = Vec::with_capacity(tokens.len());
        let mut current = OUTERMOST;
        for (at, token) in tokens.iter().enumerate() {
            while scopes[current].end < at
                && let Some(outer) = scopes[current].outer
            {
                current = outer;
            }
            let closed = brackets.closed[at];
            let end = match *token {
                "(" if is_parameters(tokens, brackets, at) => {
                    Some(body_end(tokens, brackets, closed + 1))
                }
                "(" if previous(tokens, at) == "for" => {
                    Some(statement_end(tokens, brackets, closed + 1))
                }
                "{" if braces(tokens, at, brackets.around[at]) == Enclosed::Statements => {
                    Some(closed)
                }
                _ if is_arrow(tokens, at + 1) && *token != ")" => {
                    Some(body_end(tokens, brackets, at + 1))
                }
                _ => None,
            };
            if let Some(end) = end {
                scopes.push(scope(end, Some(current)));
                current = scopes.len() - 1;
            }
            innermost.push(current);
        }
        Self { scopes, innermost }
    }

    /// Finds what is declared in each scope.
    fn declare(&mut self, tokens: &[&'a str], brackets: &Brackets, reachable: &[&str]) {
        for at in 0..tokens.len() {
            let mut found = Vec::new();
            match tokens[at] {
                "const" | "let" => bindings(tokens, brackets, at + 1, &mut found),
                "function" | "class" => found.push(next(tokens, at)),
                "(" if is_parameters(tokens, brackets, at) => {
                    bindings(tokens, brackets, at + 1, &mut found);
                }
                token if is_arrow(tokens, at + 1) && token != ")" => found.push(token),
                _ => {}
            }
            let scope = self.innermost[at];
            let names = &mut self.scopes[scope].names;
            found.retain(|name| {
                !names.contains(name) && (scope != OUTERMOST || !reachable.contains(name))
            });
            names.extend(found);
        }
        // The outermost names are numbered last: the shortest names are for those that are reused in each function.
        let mut slots = 0;
        for scope in 1..self.scopes.len() {
            let outer = self.scopes[scope].outer.filter(|outer| *outer != OUTERMOST);
            let first = outer.map_or(0, |outer| self.scopes[outer].end_slot());
            self.scopes[scope].first_slot = first;
            slots = slots.max(self.scopes[scope].end_slot());
        }
        self.scopes[OUTERMOST].first_slot = slots;
    }

    fn is_outermost(&self, slot: usize) -> bool {
        slot >= self.scopes[OUTERMOST].first_slot
    }

    /// Returns the number of a variable among those that are visible here; `None` if it keeps its name.
    fn slot(&self, name: &str, at: usize) -> Option<usize> {
        let mut current = Some(self.innermost[at]);
        while let Some(scope) = current {
            let scope = &self.scopes[scope];
            if let Some(index) = scope.names.iter().position(|known| *known == name) {
                return Some(scope.first_slot + index);
            }
            current = scope.outer;
        }
        None
    }
}

impl Scope<'_> {
    fn end_slot(&self) -> usize {
        self.first_slot + self.names.len()
    }
}

/// The scope of the script itself.
const OUTERMOST: usize = 0;

/// Adds the names of a list of bindings, which are names or patterns, and may have values.
fn bindings<'a>(tokens: &[&'a str], brackets: &Brackets, mut at: usize, found: &mut Vec<&'a str>) {
    while let Some(token) = tokens.get(at) {
        match *token {
            "{" | "[" => {
                bindings(tokens, brackets, at + 1, found);
                at = brackets.closed[at] + 1;
            }
            "." | "," => at += 1,
            // The name of a property, and then where its value goes.
            _ if next(tokens, at) == ":" => at += 2,
            "=" => at = expression_end(tokens, brackets, at + 1) + 1,
            token if closes(token) || matches!(token, ";" | "of") => return,
            name => {
                found.push(name);
                at += 1;
                // A list ends without a semicolon.
                if tokens.get(at).is_some_and(|token| is_name(token)) {
                    return;
                }
            }
        }
    }
}

/// Returns whether the parenthesis that opens here encloses parameters.
fn is_parameters(tokens: &[&str], brackets: &Brackets, at: usize) -> bool {
    let after = brackets.closed[at] + 1;
    let has_body = tokens.get(after) == Some(&"{");
    is_arrow(tokens, after)
        || has_body && !matches!(previous(tokens, at), "if" | "for" | "while" | "switch")
}

fn is_arrow(tokens: &[&str], at: usize) -> bool {
    tokens.get(at..at + 2) == Some(&["=", ">"])
}

/// Returns whether this is a parenthesis of `(name) =>`, which `name =>` says too.
fn is_around_only_parameter(tokens: &[&str], at: usize) -> bool {
    let Some(start) = at.checked_sub(if tokens[at] == ")" { 2 } else { 0 }) else {
        return false;
    };
    let is_one =
        tokens[start] == "(" && is_name(tokens[start + 1]) && next(tokens, start + 1) == ")";
    is_one && is_arrow(tokens, start + 3) && !is_name(previous(tokens, start))
}

/// Returns the last token of a function whose body, or arrow, is here.
fn body_end(tokens: &[&str], brackets: &Brackets, mut at: usize) -> usize {
    if is_arrow(tokens, at) {
        at += 2;
    }
    match tokens[at] {
        "{" => brackets.closed[at],
        _ => expression_end(tokens, brackets, at),
    }
}

/// Returns the last token of the expression that begins here.
fn expression_end(tokens: &[&str], brackets: &Brackets, mut at: usize) -> usize {
    let mut conditions = 0_usize;
    while let Some(token) = tokens.get(at) {
        match *token {
            // `?.` and `??` are no conditions.
            "?" if !matches!(next(tokens, at), "." | "?") && previous(tokens, at) != "?" => {
                conditions += 1;
            }
            ":" if conditions > 0 => conditions -= 1,
            "," | ";" | ":" => break,
            token if opens(token) => {
                // A template may go on after what it encloses.
                at = brackets.closed[at];
                if opens(tokens[at]) {
                    continue;
                }
            }
            token if closes(token) => break,
            _ => {}
        }
        at += 1;
    }
    at - 1
}

/// Returns the last token of the statement that begins here.
fn statement_end(tokens: &[&str], brackets: &Brackets, at: usize) -> usize {
    match tokens[at] {
        "{" => brackets.closed[at],
        "if" | "for" | "while" => statement_end(tokens, brackets, brackets.closed[at + 1] + 1),
        _ => (at..tokens.len())
            .find(|at| tokens[*at] == ";")
            .unwrap_or(tokens.len()),
    }
}

/// Returns whether this is a name, or a keyword.
fn is_name(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// A part of a template can both close and open.
fn closes(token: &str) -> bool {
    token.starts_with([')', ']', '}'])
}

fn opens(token: &str) -> bool {
    matches!(token, "(" | "[" | "{") || token.ends_with("${")
}

fn previous<'a>(tokens: &[&'a str], at: usize) -> &'a str {
    at.checked_sub(1).map_or("", |at| tokens[at])
}

fn next<'a>(tokens: &[&'a str], at: usize) -> &'a str {
    tokens.get(at + 1).copied().unwrap_or("")
}

/// Returns a name of one letter, or of two. Letters that are frequent anyway come first, since they take the fewest bits.
fn short_name(number: usize) -> String {
    let letter = |number: usize| char::from(LETTERS[number % LETTERS.len()]);
    match number / LETTERS.len() {
        0 => letter(number).into(),
        more => format!("{}{}", letter(more - 1), letter(number)),
    }
}

const LETTERS: &[u8; 26] = b"etsniroalducphmgfbwyvkxqjz";

/// Variables that can be visible at one place.
const SLOTS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use crate::page::compact::script;

    #[test]
    fn variables_get_short_names_and_properties_keep_theirs() {
        for (source, expected) in [
            (
                "function reach(first, second) { return first.second + second; }",
                "function reach(e,t){return e.second+t}",
            ),
            (
                "const reach = ({ name, size: bytes = 1 }, ...others) => name + bytes + others;",
                "const reach=({name:e,size:t=1},...s)=>e+t+s;",
            ),
            (
                "const reach = (one) => ({ one, two: one, three() { return one; } });",
                "const reach=e=>({one:e,two:e,three(){return e}});",
            ),
            (
                "reach(async (one) => `one ${one.one} ${one}`);",
                "reach(async(e)=>`one ${e.one} ${e}`);",
            ),
            (
                "class Reach { get size() { const size = this.size; return size; } }",
                "class t{get size(){const e=this.size;return e}}",
            ),
            (
                "for (const [key, value] of reach) reach(key ? value : key);",
                "for(const[e,t]of reach)reach(e?t:e);",
            ),
        ] {
            assert_eq!(script(source, &["reach"]), expected, "{source}");
        }
    }

    #[test]
    fn a_short_name_hides_no_other_variable() {
        for (source, expected) in [
            // What is declared elsewhere, such as by the browser.
            ("reach((one) => e(one, t));", "reach(s=>e(s,t));"),
            // A function sees the variables around it; functions beside each other use the same names.
            (
                "reach((one) => (two) => one + two, (three) => three);",
                "reach(e=>t=>e+t,e=>e);",
            ),
            // Only within its block is `one` another one.
            (
                "reach((one) => { { const one = 1; reach(one); } reach(one); });",
                "reach(e=>{{const t=1;reach(t)}reach(e)});",
            ),
            // The same name as a global, elsewhere.
            (
                "reach((history) => history); history.back();",
                "reach(e=>e);history.back();",
            ),
            // A loop without braces ends with its statement.
            (
                "reach(() => { for (const one of all) reach(one); one(); });",
                "reach(()=>{for(const e of all)reach(e);one()});",
            ),
        ] {
            assert_eq!(script(source, &["reach"]), expected, "{source}");
        }
    }

    #[test]
    fn numbers_are_written_where_they_are_used() {
        for (source, expected) in [
            (
                "const MAX_MS = 10_000; reach(MAX_MS, { MAX_MS });",
                "reach(10000,{MAX_MS:10000});",
            ),
            // A variable of the same name, a computed one, and one within a function.
            ("const MAX = 1; reach((MAX) => MAX);", "reach(e=>e);"),
            ("const reach = 2 * 3;", "const reach=2*3;"),
            (
                "reach(() => { const one = 1; reach(one); });",
                "reach(()=>{const e=1;reach(e)});",
            ),
        ] {
            assert_eq!(script(source, &["reach"]), expected, "{source}");
        }
    }
}
