//! The check of names of people and rooms: a name must look like what it is.
//!
//! Unicode defines which characters are invisible or change their neighbours: format and control characters, separators, and
//! default-ignorable ones (UAX #44). Some of them belong in names between or after visible characters:
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

/// Returns the name without surrounding space, if it can be shown and has at most `chars_max` characters.
pub(crate) fn display_name(name: &str, chars_max: usize) -> Result<&str, NameError> {
    let name = name.trim();
    if !is_plain(name) {
        return Err(NameError::NotPlain);
    }
    match name.chars().count() > chars_max {
        true => Err(NameError::TooLong),
        false => Ok(name),
    }
}

/// Why [`display_name`] refuses a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    /// It is empty, or has characters that show nothing or change how their neighbours look.
    NotPlain,
    TooLong,
}

/// Returns whether a name looks like what it is: something visible, and no invisible character except where it belongs.
fn is_plain(name: &str) -> bool {
    let mut before = Before::Nothing;
    for letter in name.chars() {
        before = match (Kind::of(letter), before) {
            (Kind::Hidden, _) => return false,
            // A flag is followed by its tags only.
            (Kind::Tag, Before::Flag | Before::Tags) => Before::Tags,
            (Kind::TagEnd, Before::Tags) => Before::Visible,
            (Kind::Tag | Kind::TagEnd, _) | (_, Before::Tags) => return false,
            (Kind::Visible, _) if letter == FLAG => Before::Flag,
            (Kind::Visible, _) => Before::Visible,
            // At the start of a name these would join with the text around it.
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

/// The state before a character.
#[derive(Clone, Copy)]
enum Before {
    /// The beginning, or a space.
    Nothing,
    Visible,
    /// A visible character with its variation selector.
    Selected,
    /// A joiner after a visible character.
    Joined,
    /// The flag that tags turn into another flag.
    Flag,
    Tags,
}

/// The kind of a character in a name.
enum Kind {
    Visible,
    /// Combines with the character before it.
    Mark,
    Space,
    /// Selects the shape of the character before it.
    Selector,
    Joiner,
    Tag,
    TagEnd,
    /// Is invisible, or changes how its neighbours look.
    Hidden,
}

impl Kind {
    fn of(letter: char) -> Self {
        match letter {
            ' ' | '\u{3000}' => return Self::Space,
            '\u{200C}' | '\u{200D}' => return Self::Joiner,
            // Variation selectors of emoji and text, of ideographs, and of Mongolian.
            '\u{FE00}'..='\u{FE0F}'
            | '\u{E0100}'..='\u{E01EF}'
            | '\u{180B}'..='\u{180D}'
            | '\u{180F}' => return Self::Selector,
            '\u{E0020}'..='\u{E007E}' => return Self::Tag,
            '\u{E007F}' => return Self::TagEnd,
            // Blank, although their properties don't say so: of Braille, music and Egyptian, and the object replacement
            // character.
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
