//! Writes out the templates of the French Wikipedia for ordinals, centuries and abbreviations.
//! Their name is a part of the text: `{{1er}}`, `{{XIXe siècle}}`, `M{{me}}`, `n{{o|5}}`.

use super::arguments::{Argument, Values, is_number};

/// The endings of abbreviations, which directly follow a letter.
const ENDINGS: [&str; 8] = ["me", "mes", "lle", "lles", "gr", "grs", "o", "os"];

/// Returns the text of a template, or `None` if it is none of these. `name` is in lower case.
pub(super) fn text_of(name: &str, arguments: &[Argument<'_>], is_attached: bool) -> Option<String> {
    if is_attached && ENDINGS.contains(&name) {
        return match arguments {
            [] => Some(name.to_owned()),
            _ => with_number(name, arguments),
        };
    }
    match name {
        "n°" | "nº" => return with_number("n°", arguments),
        "sp" | "sp-" => return centuries(&Values::of(arguments)?),
        "mme" | "mmes" | "mlle" | "mgr" if arguments.is_empty() => {
            return Some(format!("M{}", &name[1..]));
        }
        _ => {}
    }
    if !arguments.is_empty() {
        return None;
    }
    if let Some(year) = name.strip_prefix('-').filter(|year| is_digits(year)) {
        return Some(format!("{year} av. J.-C."));
    }
    let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, ending) = name.split_at(digits);
    if digits > 0 && matches!(ending, "er" | "re" | "e" | "ème" | "d" | "de" | "nd" | "nde") {
        return Some(format!("{number}{ending}"));
    }
    let ordinal = name.strip_suffix(" siècle")?;
    let ending = ["er", "e"].into_iter().find(|ending| ordinal.ends_with(ending))?;
    let number = &ordinal[..ordinal.len() - ending.len()];
    is_roman(number).then(|| format!("{}{ending} siècle", number.to_uppercase()))
}

/// Returns a sign with the number in the argument.
fn with_number(sign: &str, arguments: &[Argument<'_>]) -> Option<String> {
    let values = Values::of(arguments)?;
    is_number(values.at(0)).then(|| format!("{sign} {}", values.at(0)))
}

/// Returns two centuries: `{{sp|XVII|e|au|XVIII|e}}`.
fn centuries(values: &Values) -> Option<String> {
    let [one, ending_of_one, joiner, two, ending_of_two] = [0, 1, 2, 3, 4].map(|at| values.at(at));
    let are_roman = [one, two].iter().all(|it| is_roman(&it.to_lowercase()));
    let joiner =
        if matches!(joiner, "-" | "–") { joiner.to_owned() } else { format!(" {joiner} ") };
    are_roman.then(|| format!("{one}{ending_of_one}{joiner}{two}{ending_of_two} siècle"))
}

fn is_roman(number: &str) -> bool {
    !number.is_empty() && number.chars().all(|c| matches!(c, 'i' | 'v' | 'x'))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(template: &str, is_attached: bool) -> Option<String> {
        let mut parts = template.split('|');
        let name = parts.next()?;
        text_of(name, &parts.map(Argument::of).collect::<Vec<_>>(), is_attached)
    }

    #[test]
    fn french_ordinals_and_abbreviations_keep_their_letters_and_numbers() {
        for (template, is_attached, expected) in [
            ("1er", false, "1er"),
            ("2e", false, "2e"),
            ("2nde", false, "2nde"),
            ("ier siècle", false, "Ier siècle"),
            ("xixe siècle", false, "XIXe siècle"),
            ("-44", false, "44 av. J.-C."),
            ("sp|XVII|e|au|XVIII|e", false, "XVIIe au XVIIIe siècle"),
            ("sp|XVII|e|-|XVIII|e", false, "XVIIe-XVIIIe siècle"),
            ("me", true, "me"),
            ("o|5", true, "o 5"),
            ("n°|7", false, "n° 7"),
            ("mme", false, "Mme"),
        ] {
            assert_eq!(text(template, is_attached).as_deref(), Some(expected), "{template}");
        }
        for (template, is_attached) in [
            ("me", false),
            ("o|x", true),
            ("vie", false),
            ("sp", false),
            ("n°", false),
            ("2e|x", false),
            ("belle siècle", false),
            ("-", false),
            ("mme|x", false),
        ] {
            assert_eq!(text(template, is_attached), None, "{template}");
        }
    }
}
