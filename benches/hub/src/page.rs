//! The page with the figures, whose text is written by hand and whose tables are not.

use std::{fs, io, path::Path};

/// Puts the text between the marks of a part, `<!-- NAME -->` and `<!-- end of NAME -->`. Prints it if there is no page.
pub(crate) fn replace(page: Option<&Path>, part: &str, text: &str) -> io::Result<()> {
    println!("{text}");
    let Some(page) = page else {
        return Ok(());
    };
    let whole = fs::read_to_string(page)?;
    let replaced = replaced(&whole, part, text)
        .ok_or_else(|| io::Error::other(format!("{}: no part {part}", page.display())))?;
    fs::write(page, replaced)
}

fn replaced(whole: &str, part: &str, text: &str) -> Option<String> {
    let (before, rest) = whole.split_once(&format!("<!-- {part} -->\n"))?;
    let (_, after) = rest.split_once(&format!("<!-- end of {part} -->\n"))?;
    let text = text.trim_end();
    Some(format!(
        "{before}<!-- {part} -->\n{text}\n<!-- end of {part} -->\n{after}"
    ))
}

/// Formats a count, such as `1,234,567`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats bytes in MiB.
pub(crate) fn bytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Returns the median of some numbers, the lower of two in the middle.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers
        .get(numbers.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_replaced_and_the_rest_stays() {
        let whole = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n";
        let new = replaced(whole, "x", "new\n\n").unwrap();
        assert_eq!(new, "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n");
        assert_eq!(replaced(whole, "y", "new"), None);
    }

    #[test]
    fn a_median_is_a_number_that_was_measured() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.0).abs() < 1e-9);
    }
}
