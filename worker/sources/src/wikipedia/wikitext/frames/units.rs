//! Writes out templates for numbers with units, dates, centuries, amounts and signs, of several
//! Wikipedias.

use super::super::readable::raised;
use super::arguments::{Argument, Values, is_number, plain};
use super::{french, numbers};

/// Returns the text of a template, or `None` if it is none of these. `is_attached` is whether a
/// letter or a digit is directly before it.
pub(super) fn text_of(name: &str, arguments: &[Argument<'_>], is_attached: bool) -> Option<String> {
    if let Some(number) =
        name.strip_prefix("formatnum:").or_else(|| name.strip_prefix("#formatnum:"))
    {
        return plain(number).filter(|number| is_number(number));
    }
    if let Some(text) = french::text_of(name, arguments, is_attached) {
        return Some(text);
    }
    let values = Values::of(arguments);
    if let Some(text) = values.as_ref().and_then(|it| numbers::text_of(name, it, is_attached)) {
        return Some(text);
    }
    // `{{e}}` is a French ending, and `{{e|6}}` is a power.
    if let Some(sign) = sign_of(name).filter(|_| name != "e" || arguments.is_empty()) {
        return Some(sign.to_owned());
    }
    let values = values?;
    let text = match name {
        "convert" | "cvt" | "convertir" | "converter" | "convertido" | "konvertera"
        | "convert/2" | "convertire" | "omrekenen" => converted(&values),
        "frac" | "sfrac" | "fraction" | "fracción" | "bruch" | "ułamek" | "дробь" => {
            fraction(&values)
        }
        "nobr" => numbers::quantity(&values),
        "p." if !values.at(0).is_empty() => Some(format!("p. {}", values.at(0))),
        "s" | "s-" | "siècle" | "s2" | "s2-" | "siglo" if !values.at(0).is_empty() => {
            century(name, &values)
        }
        "sup" | "exp" | "sub" | "ind" => {
            let kind = if matches!(name, "sup" | "exp") { "sup" } else { "sub" };
            Some(raised(kind, values.at(0)))
        }
        "as of" => {
            let start = if values.named(&["lc"]).is_empty() { "As" } else { "as" };
            Some(format!("{start} of {}{}", values.at(0), values.named(&["post"])))
        }
        "isbn" => Some(format!("ISBN {}", values.at(0))),
        "höhe" => Some(format!("{} m", values.at(0))),
        "heure" => Some(format!("{} h {}", values.at(0), values.at(1)).trim_end().to_owned()),
        "us$" | "usd" | "$" => amount("$", &values),
        "gbp" | "£" => amount("£", &values),
        "eur" | "€" | "euro" => amount("€", &values),
        "jpy" | "¥" | "jpy convert" => amount("¥", &values),
        "inr" | "indian rupee" => amount("₹", &values),
        _ if is_date(name) => date(&values),
        "unité" | "unite" | "nombre" | "nb" | "num" | "unidad" | "unidade" | "tmp" | "unitats"
        | "fmtn" | "число" | "zahl" | "formatnum" | "formatzahl" | "número" | "numero"
        | "liczba" | "getal" | "číslo" | "nts" | "numb" | "decimals" | "m" => {
            let starts = values.at(0).starts_with(|c: char| c.is_ascii_digit() || c == '-');
            numbers::quantity(&values).or_else(|| starts.then(|| values.positional.join(" ")))
        }
        // The numbers of an unknown template can mean anything.
        _ => None,
    };
    text.filter(|text| !text.is_empty())
}

fn sign_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "ndash" | "snd" | "spnd" | "spaced ndash" | "spaced en dash" | "en dash" => " – ",
        "mdash" | "spaced mdash" | "em dash" => " — ",
        "nbsp" | "sp" | "space" => " ",
        "'" => "'",
        "=" => "=",
        "!" => "|",
        "·" | "•" | "dot" | "bull" | "middot" => " · ",
        "er" => "er",
        "ier" => "Ier",
        "," => ", ",
        "re" => "re",
        "e" | "è" | "ème" | "ième" => "e",
        "av jc" | "av j-c" | "av. j.-c." | "-jc" => "av. J.-C.",
        "ap jc" | "ap j-c" => "apr. J.-C.",
        "okina" | "wg:okina" => "ʻ",
        "pi" => "π",
        "pb" | "paragraph break" | "paragraph" | "br" | "crlf" => "\n",
        _ => return None,
    })
}

/// Returns a quantity without its conversion: `{{convert|5|to|10|km|mi}}` is `5 to 10 km`.
fn converted(values: &Values) -> Option<String> {
    let mut text = values.at(0).to_owned();
    if !is_number(&text) {
        return None;
    }
    let mut at = 1;
    while is_number(values.at(at + 1)) {
        let joiner = match values.at(at) {
            "-" | "–" => "–",
            "to" | "to(-)" => " to ",
            "and" | "and(-)" => " and ",
            "or" => " or ",
            "by" => " by ",
            "x" | "×" | "*" | "xx" => " × ",
            "+/-" | "±" => " ± ",
            "," => ", ",
            _ => break,
        };
        text.push_str(joiner);
        text.push_str(values.at(at + 1));
        at += 2;
    }
    let pairs =
        [("ft", "in"), ("lb", "oz"), ("st", "lb"), ("mi", "yd"), ("yd", "ft"), ("mi", "ft")];
    text.push_str(&unit(values.at(at)));
    while is_number(values.at(at + 1)) && pairs.contains(&(values.at(at), values.at(at + 2))) {
        text = format!("{text} {}{}", values.at(at + 1), unit(values.at(at + 2)));
        at += 2;
    }
    Some(text)
}

/// Returns the symbol of a unit as it follows a number, with the blank before it.
fn unit(code: &str) -> String {
    let (factor, code) = match code.split_at_checked(2) {
        Some(("e3", rest)) => (" thousand", rest),
        Some(("e6", rest)) => (" million", rest),
        Some(("e9", rest)) => (" billion", rest),
        _ => ("", code),
    };
    let symbol = match code {
        "" => return factor.to_owned(),
        "C" => "°C",
        "F" => "°F",
        "deg" | "°" => return format!("{factor}°"),
        "sqmi" => "sq mi",
        "sqft" => "sq ft",
        "sqin" => "sq in",
        "sqkm" => "km²",
        "cuft" => "cu ft",
        "cuin" => "cu in",
        "cumi" => "cu mi",
        "acre" => "acres",
        "mile" => "miles",
        "foot" => "feet",
        "ST" => "short tons",
        "LT" => "long tons",
        _ => "",
    };
    if !symbol.is_empty() {
        return format!("{factor} {symbol}");
    }
    let raised = match (code.strip_suffix('2'), code.strip_suffix('3')) {
        (Some(base), _) if base.ends_with('m') => format!("{base}²"),
        (_, Some(base)) if base.ends_with('m') => format!("{base}³"),
        _ => code.to_owned(),
    };
    format!("{factor} {raised}")
}

fn fraction(values: &Values) -> Option<String> {
    let [one, two, three] = [0, 1, 2].map(|at| values.at(at));
    match (two.is_empty(), three.is_empty()) {
        (true, _) => Some(format!("1⁄{one}")).filter(|_| !one.is_empty()),
        (false, true) => Some(format!("{one}⁄{two}")),
        (false, false) => Some(format!("{one} {two}⁄{three}")),
    }
}

fn century(name: &str, values: &Values) -> Option<String> {
    let number = values.at(0);
    if name == "siglo" {
        return Some(format!("siglo {number}"));
    }
    let is_roman = number.chars().all(|c| matches!(c, 'I' | 'V' | 'X'));
    let suffix = if values.at(1).is_empty() { "e" } else { values.at(1) };
    is_roman.then(|| format!("{number}{suffix} siècle"))
}

fn amount(symbol: &str, values: &Values) -> Option<String> {
    let number = values.at(0);
    number.starts_with(|c: char| c.is_ascii_digit()).then(|| format!("{symbol}{number}"))
}

fn is_date(name: &str) -> bool {
    const PREFIXES: [&str; 14] = [
        "birth date",
        "death date",
        "start date",
        "end date",
        "film date",
        "dob",
        "bda",
        "date",
        "birth-date",
        "death-date",
        "dts",
        "fecha",
        "datum",
        "дата",
    ];
    PREFIXES.iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
    })
}

/// Returns a date: year, month and day as numbers in this order, or its parts as they are.
fn date(values: &Values) -> Option<String> {
    let parts = [0, 1, 2].map(|at| values.at(at)).into_iter();
    let parts: Vec<&str> = parts.take_while(|part| !part.is_empty()).collect();
    let all_numbers = parts.iter().all(|part| part.chars().all(|c| c.is_ascii_digit()));
    let parts = match parts.as_slice() {
        // Day and month come first in other languages than English.
        [day, month, year] if all_numbers && year.len() == 4 && day.len() <= 2 => {
            vec![*year, month, day]
        }
        _ => parts,
    };
    if all_numbers && parts.first().is_some_and(|year| year.len() == 4) {
        let parts = parts.iter().map(|part| format!("{part:0>2}")).collect::<Vec<_>>();
        return Some(parts.join("-"));
    }
    Some(parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(template: &str) -> Option<String> {
        let mut parts = template.split('|');
        let name = parts.next()?;
        text_of(name, &parts.map(Argument::of).collect::<Vec<_>>(), false)
    }

    #[test]
    fn numbers_units_and_dates_are_written_out() {
        let cases = [
            ("convert|10|km|mi", "10 km"),
            ("convert|1,234.5|km2|sqmi|abbr=on", "1,234.5 km²"),
            ("convert|5|to|10|C|F", "5 to 10 °C"),
            ("convert|5|-|10|x|20|ha", "5–10 × 20 ha"),
            ("convert|6|ft|2|in|m", "6 ft 2 in"),
            ("convert|3|e6acre", "3 million acres"),
            ("cvt|7|sqft", "7 sq ft"),
            ("unité|12|km|2", "12 km²"),
            ("unité|3|m|s|-1", "3 m·s⁻¹"),
            ("unité|1000|habitants", "1000 habitants"),
            ("nombre|1234", "1234"),
            ("nombre|1234,5|km", "1234,5 km"),
            ("zahl|1234", "1234"),
            ("formatnum|1.234,5", "1.234,5"),
            ("liczba|12", "12"),
            ("nts|1,234", "1,234"),
            ("m|12|ul=km", "12 km"),
            ("prozent|12,5", "12,5 %"),
            ("nobr|10,8|millions", "10,8 millions"),
            ("unité|307,665 milliards", "307,665 milliards"),
            ("as of|2020|lc=y", "as of 2020"),
            ("höhe|115|DE-NHN", "115 m"),
            ("formatnum:1234.5", "1234.5"),
            ("frac|1|2", "1⁄2"),
            ("frac|3|1|2", "3 1⁄2"),
            ("s|XIX|e", "XIXe siècle"),
            ("date|1|janvier|2000", "1 janvier 2000"),
            ("birth date|1950|3|4|df=y", "1950-03-04"),
            ("fecha|3|5|1850", "1850-05-03"),
            ("datum|3|Mai|1850", "3 Mai 1850"),
            ("дробь|1|2", "1⁄2"),
            ("sp", " "),
            ("us$|5 million", "$5 million"),
            ("sup|2", "²"),
            ("ndash", " – "),
        ];
        for (template, expected) in cases {
            assert_eq!(text(template).as_deref(), Some(expected), "{template}");
        }
        for template in [
            "coord|51|30|N|0|7|W",
            "sfn|Smith|2001",
            "infobox city|name=X",
            "convert|x|km",
            "citation needed|date=May 2020",
            "cite web|1",
            "s|foo",
            "reflist|2",
            "foobar|5",
            "foobar|5|7",
            "foobar|5|km",
            "angle|30",
            "nobr|a b",
            "e|x",
            "convert|{{x}}|km",
        ] {
            assert_eq!(text(template), None, "{template}");
        }
    }
}
