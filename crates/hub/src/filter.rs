//! Filters of publications by their tags, ready to be evaluated.

use std::{cmp::Ordering, fmt, ops::Deref};

use crate::{Tags, memory::Charge, wire::FilterNode};

/// A filter that a subscriber asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare { key: String, comparison: Comparison },
}

/// A comparison of one tag. A tag that is missing is equal to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal(String),
    NotEqual(String),
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Less(Option<Decimal>),
    LessOrEqual(Option<Decimal>),
    Greater(Option<Decimal>),
    GreaterOrEqual(Option<Decimal>),
}

/// A filter that has no meaning. The client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidFilter;

/// A filter that a client makes the hub hold.
pub(crate) struct HeldFilter {
    filter: Filter,
    /// Released when no subscriber has the filter any more.
    _charge: Charge,
}

impl HeldFilter {
    pub(crate) fn new(filter: Filter, charge: Charge) -> Self {
        Self {
            filter,
            _charge: charge,
        }
    }
}

impl Deref for HeldFilter {
    type Target = Filter;

    fn deref(&self) -> &Filter {
        &self.filter
    }
}

impl PartialEq for HeldFilter {
    fn eq(&self, other: &Self) -> bool {
        self.filter == other.filter
    }
}

impl Eq for HeldFilter {}

impl fmt::Debug for HeldFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt(f)
    }
}

impl Filter {
    /// Returns the bytes that the filter takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let below = match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().map(Self::bytes).sum(),
            Self::Not(filter) => filter.bytes(),
            Self::Compare { key, comparison } => key.len() + comparison.bytes(),
        };
        size_of::<Self>() + below
    }

    /// Reads a filter, whose depth and size the decoder has limited.
    pub(crate) fn new(node: &FilterNode) -> Result<Self, InvalidFilter> {
        let nodes = || {
            node.nodes
                .iter()
                .map(Self::new)
                .collect::<Result<Vec<_>, _>>()
        };
        match node.op.as_str() {
            "" => Ok(Self::Compare {
                key: match node.key.as_str() {
                    "" => return Err(InvalidFilter),
                    key => key.to_owned(),
                },
                comparison: Comparison::new(node)?,
            }),
            "and" if !node.nodes.is_empty() => Ok(Self::And(nodes()?)),
            "or" if !node.nodes.is_empty() => Ok(Self::Or(nodes()?)),
            "not" => match node.nodes.as_slice() {
                [node] => Ok(Self::Not(Box::new(Self::new(node)?))),
                _ => Err(InvalidFilter),
            },
            _ => Err(InvalidFilter),
        }
    }

    pub(crate) fn matches(&self, tags: &Tags) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.matches(tags)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(tags)),
            Self::Not(filter) => !filter.matches(tags),
            Self::Compare { key, comparison } => comparison.holds(tags.value(key)),
        }
    }
}

impl Comparison {
    fn new(node: &FilterNode) -> Result<Self, InvalidFilter> {
        let (has_text, has_list) = (!node.val.is_empty(), !node.vals.is_empty());
        let is_complete = match node.cmp.as_str() {
            "in" | "nin" => has_list && !has_text,
            "ex" | "nex" => !has_list && !has_text,
            _ => has_text && !has_list,
        };
        if !is_complete {
            return Err(InvalidFilter);
        }
        let text = || node.val.clone();
        // What isn't a number is less and greater than nothing.
        let number = || Decimal::new(&node.val);
        Ok(match node.cmp.as_str() {
            "eq" => Self::Equal(text()),
            "neq" => Self::NotEqual(text()),
            "in" => Self::In(node.vals.clone()),
            "nin" => Self::NotIn(node.vals.clone()),
            "ex" => Self::Exists,
            "nex" => Self::Missing,
            "sw" => Self::StartsWith(text()),
            "ew" => Self::EndsWith(text()),
            "ct" => Self::Contains(text()),
            "lt" => Self::Less(number()),
            "lte" => Self::LessOrEqual(number()),
            "gt" => Self::Greater(number()),
            "gte" => Self::GreaterOrEqual(number()),
            _ => return Err(InvalidFilter),
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Equal(text)
            | Self::NotEqual(text)
            | Self::StartsWith(text)
            | Self::EndsWith(text)
            | Self::Contains(text) => text.len(),
            Self::In(texts) | Self::NotIn(texts) => {
                let texts = texts.iter();
                // A short text takes an allocation as well.
                texts
                    .map(|text| size_of::<String>() + text.len().max(16))
                    .sum()
            }
            Self::Exists | Self::Missing => 0,
            Self::Less(number)
            | Self::LessOrEqual(number)
            | Self::Greater(number)
            | Self::GreaterOrEqual(number) => number
                .as_ref()
                .map_or(0, |number| number.whole.len() + number.fraction.len()),
        }
    }

    fn holds(&self, value: Option<&str>) -> bool {
        let number = |wanted: &Option<Decimal>| Some(Decimal::new(value?)?.cmp(wanted.as_ref()?));
        match self {
            Self::Equal(wanted) => value == Some(wanted),
            Self::NotEqual(wanted) => value != Some(wanted),
            Self::In(wanted) => value.is_some_and(|value| wanted.iter().any(|one| one == value)),
            Self::NotIn(wanted) => value.is_none_or(|value| wanted.iter().all(|one| one != value)),
            Self::Exists => value.is_some(),
            Self::Missing => value.is_none(),
            Self::StartsWith(wanted) => {
                value.is_some_and(|value| value.starts_with(wanted.as_str()))
            }
            Self::EndsWith(wanted) => value.is_some_and(|value| value.ends_with(wanted.as_str())),
            Self::Contains(wanted) => value.is_some_and(|value| value.contains(wanted.as_str())),
            Self::Less(wanted) => number(wanted) == Some(Ordering::Less),
            Self::LessOrEqual(wanted) => number(wanted).is_some_and(Ordering::is_le),
            Self::Greater(wanted) => number(wanted) == Some(Ordering::Greater),
            Self::GreaterOrEqual(wanted) => number(wanted).is_some_and(Ordering::is_ge),
        }
    }
}

/// A decimal number of any size, exact: `-12.50`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    is_negative: bool,
    /// Digits before the point, without leading zeros.
    whole: String,
    /// Digits after the point, without trailing zeros.
    fraction: String,
}

impl Decimal {
    fn new(text: &str) -> Option<Self> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let has_bare_point = digits.contains('.') && fraction.is_empty();
        if whole.is_empty() || has_bare_point || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        Some(Self {
            is_negative: is_negative && !(whole.is_empty() && fraction.is_empty()),
            whole,
            fraction,
        })
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |one: &Self, other: &Self| {
            one.whole
                .len()
                .cmp(&other.whole.len())
                .then_with(|| one.whole.cmp(&other.whole))
                .then_with(|| one.fraction.cmp(&other.fraction))
        };
        match (self.is_negative, other.is_negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(key: &str, cmp: &str, val: &str) -> FilterNode {
        FilterNode {
            key: key.to_owned(),
            cmp: cmp.to_owned(),
            val: val.to_owned(),
            ..FilterNode::default()
        }
    }

    fn join(op: &str, nodes: Vec<FilterNode>) -> FilterNode {
        FilterNode {
            op: op.to_owned(),
            nodes,
            ..FilterNode::default()
        }
    }

    fn matches(node: &FilterNode, tags: &[(&str, &str)]) -> bool {
        let tags = tags.iter().copied().collect();
        Filter::new(node).unwrap().matches(&tags)
    }

    #[test]
    fn comparisons_of_text() {
        let tags = [("city", "Bern")];
        for (cmp, val, holds) in [
            ("eq", "Bern", true),
            ("eq", "Genf", false),
            ("neq", "Genf", true),
            ("ex", "", true),
            ("nex", "", false),
            ("sw", "Be", true),
            ("sw", "rn", false),
            ("ew", "rn", true),
            ("ct", "er", true),
            ("ct", "x", false),
        ] {
            assert_eq!(
                matches(&compare("city", cmp, val), &tags),
                holds,
                "{cmp} {val}"
            );
        }
        assert!(matches(&compare("country", "nex", ""), &tags));
        assert!(matches(&compare("country", "neq", "CH"), &tags));
    }

    #[test]
    fn numbers_are_compared_as_decimals_of_any_size() {
        for (value, cmp, val, holds) in [
            ("9", "lt", "10", true),
            ("-9", "gt", "-10", true),
            ("0.10", "lte", "0.1", true),
            ("1.05", "lt", "1.5", true),
            (
                "100000000000000000000000001",
                "gt",
                "100000000000000000000000000",
                true,
            ),
            ("-0", "gte", "0", true),
            ("+3", "gt", "2.99", true),
            ("three", "gt", "2", false),
            ("three", "lt", "2", false),
            ("3", "lt", "three", false),
            // As the real server reads them: digits on both sides of a point.
            ("3.", "gt", "2", false),
            (".5", "lt", "2", false),
        ] {
            assert_eq!(
                matches(&compare("n", cmp, val), &[("n", value)]),
                holds,
                "{value} {cmp} {val}"
            );
        }
    }

    #[test]
    fn nodes_are_connected() {
        let node = join(
            "and",
            vec![
                compare("a", "eq", "1"),
                join("not", vec![compare("b", "eq", "1")]),
                join("or", vec![compare("c", "eq", "1"), compare("c", "eq", "2")]),
            ],
        );
        assert!(matches(&node, &[("a", "1"), ("c", "2")]));
        assert!(!matches(&node, &[("a", "1"), ("b", "1"), ("c", "2")]));
        assert!(!matches(&node, &[("a", "1"), ("c", "3")]));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for node in [
            FilterNode::default(),
            compare("", "eq", "1"),
            compare("a", "almost", "1"),
            compare("a", "eq", ""),
            compare("a", "lt", ""),
            compare("a", "ex", "1"),
            compare("a", "in", "1"),
            compare("a", "in", ""),
            FilterNode {
                vals: vec!["1".to_owned()],
                ..compare("a", "eq", "1")
            },
            join("xor", vec![compare("a", "eq", "1")]),
            join("and", vec![]),
            join("not", vec![]),
            join(
                "not",
                vec![compare("a", "eq", "1"), compare("b", "eq", "1")],
            ),
        ] {
            assert_eq!(Filter::new(&node), Err(InvalidFilter), "{node:?}");
        }
    }
}
