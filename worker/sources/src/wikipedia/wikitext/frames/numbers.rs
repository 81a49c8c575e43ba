//! Writes out templates that compute or set numbers: powers, roots, percentages, ordinals, years.

use super::super::readable::raised;
use super::arguments::{Values, is_number};

/// Returns the text of a template for a number, or `None` if it is not one or has another argument.
/// `is_attached` is whether a letter or a digit is directly before it.
pub(super) fn text_of(name: &str, values: &Values, is_attached: bool) -> Option<String> {
    let first = values.at(0);
    match name {
        "val" => measured(values),
        "gaps" => quantity(&Values::single(values.positional.concat(), values)),
        "e" | "x10^" | "esp" | "e-sp" => power("×10", first),
        "10^" => power("10", first),
        // In French the template raises what is before it.
        "exp" if !is_attached => power("e", first),
        "sqrt" => root(first, ""),
        "radic" | "root" => root(first, values.at(1)),
        "chem" | "chem2" => formula(name, values),
        "pct" | "percent" | "percentage" => percentage(values, ".", "%"),
        "prozent" | "pourcentage" | "porcentaje" | "porcentagem" | "percentuale" | "procent"
        | "procenta" | "процент" | "процентов" | "відсоток" | "%" => {
            percentage(values, ",", " %")
        }
        "ordinal" => ordinal(first),
        "circa" | "c." | "ca." | "c" | "vers" => years("c. ", " – c. ", values),
        "reign" | "r." => years("r. ", "–", values),
        "floruit" | "fl." | "fl" => years("fl. ", "–", values),
        _ => None,
    }
}

fn power(base: &str, exponent: &str) -> Option<String> {
    if exponent.is_empty() {
        return None;
    }
    let raised = raised("sup", exponent);
    (raised != exponent).then(|| format!("{base}{raised}"))
}

fn root(radicand: &str, degree: &str) -> Option<String> {
    let degree = if degree.is_empty() { String::new() } else { power("", degree)? };
    let is_sum = !radicand.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | ','));
    match radicand {
        "" => None,
        _ if is_sum => Some(format!("{degree}√({radicand})")),
        _ => Some(format!("{degree}√{radicand}")),
    }
}

/// Returns the share of the first number in the second, with as many digits as the third says, or
/// the first number as a percentage. `point` is the decimal sign of the language, and `sign` what
/// follows the number.
fn percentage(values: &Values, point: &str, sign: &str) -> Option<String> {
    let given = values.at(0).trim_end_matches(['%', ' ', '\u{a0}']);
    if values.at(1).is_empty() {
        return is_number(given).then(|| format!("{given}{sign}"));
    }
    let number = |at: usize| {
        let text = values.at(at);
        let text = if point == "," { text.replace([' ', '\u{a0}'], "") } else { text.to_owned() };
        // A comma of the English form separates thousands.
        text.replace(',', if point == "," { "." } else { "" }).parse::<f64>().ok()
    };
    let share = number(0)? * 100.0 / number(1)?;
    let digits = match values.at(2) {
        "" => 0,
        digits => digits.parse::<u8>().ok().filter(|digits| *digits <= 9)?,
    };
    let share = share.is_finite().then(|| format!("{share:.*}", usize::from(digits)))?;
    Some(format!("{}{sign}", share.replace('.', point)))
}

/// Returns a chemical formula, with its indexes and its charge in Unicode's characters.
fn formula(name: &str, values: &Values) -> Option<String> {
    let mut out = String::new();
    let source = values.positional.concat();
    let fits = |c: char| c.is_ascii_alphanumeric() || "()[]+-−·=≡".contains(c);
    if source.is_empty() || !source.chars().all(fits) {
        return None;
    }
    for part in &values.positional {
        let charge = part.trim_end_matches(['+', '-', '−']).len();
        // `chem2` has a charge with its number in parentheses: `SO4(2-)`.
        let (part, charge) = match part.strip_suffix(')').and_then(|it| it.rsplit_once('(')) {
            Some((rest, charge)) if name == "chem2" && charge.ends_with(['+', '-', '−']) => {
                (rest, charge)
            }
            _ => part.split_at(if charge > 0 || name == "chem" { charge } else { part.len() }),
        };
        for c in part.chars() {
            // A digit at the start is a factor.
            let is_index = c.is_ascii_digit() && !(out.is_empty() && name == "chem2");
            let digit = c.to_string();
            out += &if is_index { raised("sub", &digit) } else { digit };
        }
        out += &raised("sup", charge);
    }
    Some(out)
}

/// Returns an English ordinal.
fn ordinal(number: &str) -> Option<String> {
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_teen = number.len() > 1 && number.as_bytes()[number.len() - 2] == b'1';
    let suffix = match number.as_bytes()[number.len() - 1] {
        b'1' if !is_teen => "st",
        b'2' if !is_teen => "nd",
        b'3' if !is_teen => "rd",
        _ => "th",
    };
    Some(format!("{number}{suffix}"))
}

fn years(mark: &str, joiner: &str, values: &Values) -> Option<String> {
    let (first, last) = (values.at(0), values.at(1));
    if first.is_empty() {
        return None;
    }
    let rest = if last.is_empty() { String::new() } else { format!("{joiner}{last}") };
    Some(format!("{mark}{first}{rest}"))
}

/// Returns a number with its uncertainty, as in `{{val|5|1}}`, which is `5±1`.
fn measured(values: &Values) -> Option<String> {
    let [number, above, below] = [0, 1, 2].map(|at| values.at(at));
    let text = match (is_number(above), is_number(below)) {
        (true, true) => format!("{number}{above}{below}"),
        (true, false) => format!("{number}±{above}"),
        _ => return quantity(values),
    };
    quantity(&Values::single(text, values))
}

/// Returns a number with its unit, as in `{{unité|12|km|2}}` or `{{val|1.5|e=3|u=kg}}`.
pub(super) fn quantity(values: &Values) -> Option<String> {
    let mut text = values.at(0).to_owned();
    if !is_number(&text) {
        return None;
    }
    let exponent = values.named(&["e"]);
    if is_number(exponent) {
        text.push_str("×10");
        text.push_str(&raised("sup", exponent));
    }
    let named = values.named(&["u", "ul", "unité", "unit", "up"]);
    if !named.is_empty() {
        return Some(format!("{text} {named}"));
    }
    let is_word = |word: &str| !word.is_empty() && !is_number(word) && word.chars().count() <= 24;
    let mut at = 1;
    while is_word(values.at(at)) {
        text.push_str(if at == 1 { " " } else { "·" });
        text.push_str(values.at(at));
        at += 1;
        let power = values.at(at);
        if power.len() <= 3 && is_number(power) {
            text.push_str(&raised("sup", power));
            at += 1;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::arguments::Argument;
    use super::*;

    fn text(template: &str, is_attached: bool) -> Option<String> {
        let mut parts = template.split('|');
        let name = parts.next()?;
        let values = Values::of(&parts.map(Argument::of).collect::<Vec<_>>())?;
        text_of(name, &values, is_attached)
    }

    #[test]
    fn templates_for_numbers_say_what_a_page_shows() {
        let cases = [
            ("val|1.5|e=3|u=kg", "1.5×10³ kg"),
            ("val|5|1", "5±1"),
            ("val|5|1|u=km", "5±1 km"),
            ("val|5|+2|-1", "5+2-1"),
            ("gaps|299|792|458", "299792458"),
            ("gaps|6.022|141|e=23", "6.022141×10²³"),
            ("e|6", "×10⁶"),
            ("x10^|5", "×10⁵"),
            ("10^|-6", "10⁻⁶"),
            ("exp|3", "e³"),
            ("sqrt|2", "√2"),
            ("sqrt|x + 1", "√(x + 1)"),
            ("radic|2|3", "³√2"),
            ("pct|1|3", "33%"),
            ("percentage|1|3|2", "33.33%"),
            ("percentage|1,000|8,000|1", "12.5%"),
            ("percent|12.5", "12.5%"),
            ("pct|12%", "12%"),
            ("prozent|12,5", "12,5 %"),
            ("prozent|1|3|2", "33,33 %"),
            ("pourcentage|12,5|50", "25 %"),
            ("pourcentage|12", "12 %"),
            ("porcentaje|1 000|8000|1", "12,5 %"),
            ("процент|7", "7 %"),
            ("ordinal|3", "3rd"),
            ("ordinal|11", "11th"),
            ("ordinal|112", "112th"),
            ("ordinal|21", "21st"),
            ("chem2|H2O", "H₂O"),
            ("chem2|SO4(2-)", "SO₄²⁻"),
            ("chem2|Ca(OH)2", "Ca(OH)₂"),
            ("chem2|NH4+", "NH₄⁺"),
            ("chem|H|2|O", "H₂O"),
            ("chem|Na|+", "Na⁺"),
            ("circa|1900", "c. 1900"),
            ("circa|1900|1910", "c. 1900 – c. 1910"),
            ("reign|1901|1910", "r. 1901–1910"),
            ("fl.|1900", "fl. 1900"),
        ];
        for (template, expected) in cases {
            assert_eq!(text(template, false).as_deref(), Some(expected), "{template}");
        }
        for template in [
            "foobar|5",
            "sqrt",
            "sqrt|",
            "pct|1|0",
            "pct",
            "pct|x",
            "prozent|x",
            "pct|x|2",
            "pct|1|3|99",
            "ordinal|x",
            "10^|x",
            "gaps|a|b",
            "reign",
            "e",
            "angle|30",
            "val|x",
        ] {
            assert_eq!(text(template, false), None, "{template}");
        }
        // This is French: `m{{exp|3}}` is m³.
        assert_eq!(text("exp|3", true), None);
    }
}
