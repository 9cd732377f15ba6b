//! Names of people and rooms: what is shown must look like what it is.
//!
//! Unicode decides what shows nothing, or moves what stands beside it: format and control characters, separators, and all
//! that is default-ignorable (UAX #44). Some of that belongs in names where it stands between or after what shows:
//!
//! ```text
//!   start, space ──visible──> visible ──mark──> visible
//!                               │  ──variation selector──> selected ──┐
//!                               └──── ZWJ, ZWNJ ──> joined ──> visible, mark      (👩‍🚀, می‌خواهم)
//!   🏴 ──tags──> cancel tag                                                       (🏴󠁧󠁢󠁷󠁬󠁳󠁿)
//! ```

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

/// Whether a name shows what it is: nothing invisible in it, unless it belongs there, and something to see.
pub(crate) fn is_plain(name: &str) -> bool {
    let mut before = Before::Nothing;
    for letter in name.chars() {
        before = match (Kind::of(letter), before) {
            (Kind::Hidden, _) => return false,
            // Within a flag, nothing but its tags.
            (Kind::Tag, Before::Flag | Before::Tags) => Before::Tags,
            (Kind::TagEnd, Before::Tags) => Before::Visible,
            (Kind::Tag | Kind::TagEnd, _) | (_, Before::Tags) => return false,
            (Kind::Visible, _) if letter == FLAG => Before::Flag,
            (Kind::Visible, _) => Before::Visible,
            // These join with what stands before them, in whatever frame the name is shown.
            (Kind::Mark | Kind::Selector | Kind::Joiner, Before::Nothing) => return false,
            (Kind::Mark, _) => Before::Visible,
            (Kind::Selector, Before::Visible | Before::Flag) => Before::Selected,
            (Kind::Joiner, Before::Visible | Before::Flag | Before::Selected) => Before::Joined,
            (Kind::Selector | Kind::Joiner, _) | (Kind::Space, Before::Joined) => return false,
            (Kind::Space, _) => Before::Nothing,
        };
    }
    matches!(before, Before::Visible | Before::Flag | Before::Selected)
}

/// What stands before a character.
#[derive(Clone, Copy)]
enum Before {
    /// The beginning, or a space.
    Nothing,
    Visible,
    /// A visible character with its variation selector.
    Selected,
    /// What joins a visible character to the next.
    Joined,
    /// The flag that tags may make another flag of.
    Flag,
    Tags,
}

/// What a character does in a name.
enum Kind {
    Visible,
    /// Combines with the character before it.
    Mark,
    Space,
    /// Says which of its shapes the character before it has.
    Selector,
    Joiner,
    Tag,
    TagEnd,
    /// Shows nothing, or turns what stands beside it.
    Hidden,
}

impl Kind {
    fn of(letter: char) -> Self {
        match letter {
            ' ' | '\u{3000}' => return Self::Space,
            '\u{200C}' | '\u{200D}' => return Self::Joiner,
            // Emoji and text shapes, those of ideographs, those of Mongolian.
            '\u{FE00}'..='\u{FE0F}'
            | '\u{E0100}'..='\u{E01EF}'
            | '\u{180B}'..='\u{180D}'
            | '\u{180F}' => return Self::Selector,
            '\u{E0020}'..='\u{E007E}' => return Self::Tag,
            '\u{E007F}' => return Self::TagEnd,
            // Blank, though nothing in their properties says so: of Braille, of music, of Egyptian, and what stands for a
            // picture that isn't there.
            '\u{2800}' | '\u{1D159}' | '\u{13441}' | '\u{13442}' | '\u{FFFC}' => {
                return Self::Hidden;
            }
            _ => {}
        }
        let is_no_character =
            (letter as u32) & 0xFFFE == 0xFFFE || matches!(letter, '\u{FDD0}'..='\u{FDEF}');
        if is_no_character || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
        {
            return Self::Hidden;
        }
        match CodePointMapData::<GeneralCategory>::new().get(letter) {
            GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::Surrogate
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator => Self::Hidden,
            GeneralCategory::NonspacingMark
            | GeneralCategory::SpacingMark
            | GeneralCategory::EnclosingMark => Self::Mark,
            _ => Self::Visible,
        }
    }
}

/// WAVING BLACK FLAG.
const FLAG: char = '\u{1F3F4}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_names() {
        for name in [
            "Ann",
            "李　小龙",
            "葛\u{E0100}城",
            "Đặng Thị Ngọc",
            "e\u{301}",
            // Persian and Hindi with their joiners.
            "می\u{200C}خواهم",
            "क्\u{200D}ष",
            // An astronaut with a rocket, a heart on fire, a keycap, Wales, a plain flag, Zürich with its flag.
            "👩\u{200D}🚀🚀",
            "❤\u{FE0F}\u{200D}🔥",
            "1\u{FE0F}\u{20E3}",
            "🏴\u{E0067}\u{E0062}\u{E0077}\u{E006C}\u{E0073}\u{E007F} Cymru",
            "🏴",
            "🏴\u{200D}☠\u{FE0F}",
            "🇨🇭 Zürich",
            "#tea & milk?",
        ] {
            assert!(is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn what_shows_nothing_or_turns_the_rest_is_no_part_of_a_name() {
        for letter in [
            '\0',
            '\n',
            '\u{85}',
            '\u{A0}',
            '\u{AD}',
            '\u{34F}',
            '\u{61C}',
            '\u{115F}',
            '\u{1160}',
            '\u{1680}',
            '\u{17B4}',
            '\u{180E}',
            '\u{2003}',
            '\u{200B}',
            '\u{200E}',
            '\u{2028}',
            '\u{202E}',
            '\u{2060}',
            '\u{2065}',
            '\u{2066}',
            '\u{206F}',
            '\u{2800}',
            '\u{3164}',
            '\u{FDD0}',
            '\u{FEFF}',
            '\u{FFA0}',
            '\u{FFF9}',
            '\u{FFFF}',
            '\u{1BCA0}',
            '\u{1D159}',
            '\u{1D173}',
            '\u{E0001}',
            '\u{E0041}',
            '\u{E0FFF}',
        ] {
            for name in [
                letter.to_string(),
                format!("a{letter}b"),
                format!("a{letter}"),
            ] {
                assert!(!is_plain(&name), "{name:?}");
            }
        }
    }

    #[test]
    fn joiners_selectors_and_marks_need_something_to_join() {
        for name in [
            "",
            " ",
            "\u{200D}",
            "\u{200C}a",
            "a\u{200D}",
            "a\u{200D}\u{200D}b",
            "a\u{200C} b",
            "a \u{200C}b",
            "\u{FE0F}",
            "a\u{FE0F}\u{FE0F}",
            "\u{301}",
            "a \u{301}",
            "🏴\u{E0067}",
            "🏴\u{E0067}a",
            "a\u{E0067}\u{E007F}",
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
