//! The rows that the lookups answer from, read strictly from JSON.
//!
//! ```json
//! {"stock": {"SKU-001": {"name": "Wireless Mouse Pro", "stock": 150, "warehouse": "Gudang A"}}}
//! ```
//!
//! Each row's reply is written once, when it is read: rows are never changed
//! by a request. Knows nothing of HTTP, files or delays.

use super::mistake::{DatasetError, Mistake, Notes, Wanted};
use super::profile::{Kind, Profile};
use super::text::{self, Value};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Unexpected, Visitor};
use std::collections::HashMap;
use std::fmt;

/// Largest data set file, in bytes.
pub const DATASET_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most rows of one profile.
const ROWS_MAX: usize = 1_000_000;
/// Longest id of a row, in bytes.
const ID_BYTES_MAX: usize = 1_024;
/// Longest text in a row, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// One data set for each profile.
#[derive(Clone, Debug)]
pub struct Dataset {
    tables: [Table; Profile::ALL.len()],
}

/// One profile's rows, in the order of the file.
#[derive(Clone, Debug, Default)]
struct Table {
    rows: Vec<Row>,
    places: HashMap<String, usize>,
}

#[derive(Clone, Debug)]
struct Row {
    id: String,
    /// In the order of the profile's fields.
    values: Vec<Value>,
    reply: Bytes,
}

impl Dataset {
    /// The rows of the seed's servers.
    #[must_use]
    pub fn reference() -> Dataset {
        let mut dataset = Dataset { tables: Default::default() };
        for profile in Profile::ALL {
            let read = dataset.replace(profile.terms().reference);
            debug_assert!(read.is_ok(), "{}: {read:?}", profile.name());
        }
        dataset
    }

    /// Puts the rows of `json` in the place of all rows of the profiles that it names.
    ///
    /// # Errors
    /// [`DatasetError`] when it is not a data set in every respect; nothing is replaced then.
    pub fn replace(&mut self, json: &str) -> Result<(), DatasetError> {
        for (profile, rows) in read(json)? {
            self.tables[profile as usize] = Table::default();
            self.put(profile, rows);
        }
        Ok(())
    }

    /// Adds the rows of `json`, which win over rows with the same ids.
    ///
    /// # Errors
    /// As [`Dataset::replace`].
    pub fn extend(&mut self, json: &str) -> Result<(), DatasetError> {
        read(json)?.into_iter().for_each(|(profile, rows)| self.put(profile, rows));
        Ok(())
    }

    /// One profile's rows as a file that [`Dataset::replace`] takes, a row a line.
    #[must_use]
    pub fn print(&self, profile: Profile) -> String {
        let rows = self.tables[profile as usize].rows.iter().map(|row| row.print(profile));
        let rows: Vec<String> = rows.collect();
        format!("{{\n  \"{}\": {{\n{}\n  }}\n}}\n", profile.name(), rows.join(",\n"))
    }

    /// The reply to an id that was folded, if a row has it.
    pub(super) fn find(&self, profile: Profile, id: &str) -> Option<Bytes> {
        let table = &self.tables[profile as usize];
        let place = *table.places.get(id)?;
        Some(table.rows.get(place)?.reply.clone())
    }

    fn put(&mut self, profile: Profile, rows: Vec<Row>) {
        let table = &mut self.tables[profile as usize];
        for row in rows {
            match table.places.get(&row.id) {
                Some(place) => table.rows[*place] = row,
                None => {
                    table.places.insert(row.id.clone(), table.rows.len());
                    table.rows.push(row);
                }
            }
        }
    }
}

impl Row {
    fn new(profile: Profile, id: String, values: Vec<Value>) -> Row {
        let shown = Value::Text(id.clone());
        let mut fields: Vec<(&str, &Value)> =
            profile.terms().fields.iter().map(|(name, _)| *name).zip(&values).collect();
        fields.push((profile.parameter(), &shown));
        let reply = Bytes::from(text::object(&fields));
        Row { id, values, reply }
    }

    fn print(&self, profile: Profile) -> String {
        let mut line = "    ".to_owned();
        text::write(&mut line, &Value::Text(self.id.clone()));
        let mut before = ": {";
        for ((name, _), value) in profile.terms().fields.iter().zip(&self.values) {
            line += before;
            line += &format!("\"{name}\": ");
            text::write(&mut line, value);
            before = ", ";
        }
        line + "}"
    }
}

fn read(json: &str) -> Result<Vec<(Profile, Vec<Row>)>, DatasetError> {
    let mut input = serde_json::Deserializer::from_str(json);
    let mut track = serde_path_to_error::Track::new();
    let notes = Notes::default();
    let file = File(&notes);
    let read = file.deserialize(serde_path_to_error::Deserializer::new(&mut input, &mut track));
    let sets = read.map_err(|said| DatasetError::new(track.path().to_string(), said, &notes))?;
    input.end().map_err(|said| DatasetError::new(".".to_owned(), said, &notes))?;
    Ok(sets)
}

/// Reads the whole file: profiles by name.
#[derive(Clone, Copy)]
struct File<'n>(&'n Notes);
/// Reads a profile's rows by id.
#[derive(Clone, Copy)]
struct Rows<'n>(Profile, &'n Notes);
/// Reads the fields of the row with that id.
#[derive(Clone, Copy)]
struct Fields<'n>(Profile, &'n Notes);
/// Reads one value.
#[derive(Clone, Copy)]
struct Field<'n>(Kind, &'n Notes);

impl<'de> DeserializeSeed<'de> for File<'_> {
    type Value = Vec<(Profile, Vec<Row>)>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self).inspect_err(|_| self.0.wanted(Wanted::Profiles))
    }
}

impl<'de> Visitor<'de> for File<'_> {
    type Value = Vec<(Profile, Vec<Row>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of profiles: stock, flight, domain, package, player")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        const NAMES: &[&str] = &["stock", "flight", "domain", "package", "player"];
        let mut sets: Self::Value = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let profile = Profile::named(&name).ok_or_else(|| {
                self.0.note(Mistake::UnknownProfile(name.clone()));
                A::Error::unknown_field(&name, NAMES)
            })?;
            if sets.iter().any(|(known, _)| *known == profile) {
                self.0.note(Mistake::Twice(profile.name()));
                return Err(A::Error::duplicate_field(profile.name()));
            }
            sets.push((profile, map.next_value_seed(Rows(profile, self.0))?));
        }
        Ok(sets)
    }
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = Vec<Row>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self).inspect_err(|_| self.1.wanted(Wanted::Rows(self.0.parameter())))
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = Vec<Row>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of rows by {}", self.0.parameter())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        let mut seen = HashMap::new();
        while let Some(written) = map.next_key::<String>()? {
            let id = self.0.fold(written.clone());
            if !(1..=ID_BYTES_MAX).contains(&id.len()) {
                self.1.note(Mistake::IdLength(ID_BYTES_MAX));
                return Err(A::Error::custom(format!("an id must have 1 to {ID_BYTES_MAX} bytes")));
            }
            if let Some(other) = seen.insert(id.clone(), written.clone()) {
                let same = format!("the ids {other:?} and {written:?} are the same");
                self.1.note(Mistake::SameIds(other, written));
                return Err(A::Error::custom(same));
            }
            if rows.len() == ROWS_MAX {
                self.1.note(Mistake::TooManyRows(ROWS_MAX));
                return Err(A::Error::custom(format!("there are more than {ROWS_MAX} rows")));
            }
            let values = map.next_value_seed(Fields(self.0, self.1))?;
            rows.push(Row::new(self.0, id, values));
        }
        Ok(rows)
    }
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self).inspect_err(|_| self.1.wanted(Wanted::Fields(self.names())))
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the fields {}", self.names())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let fields = self.0.terms().fields;
        let mut values = vec![None; fields.len()];
        while let Some(name) = map.next_key::<String>()? {
            let Some(place) = fields.iter().position(|(known, _)| *known == name) else {
                let known = self.names();
                let unknown =
                    format!("unknown field {name:?}: a row of {} has {known}", self.0.name());
                self.1.note(Mistake::UnknownField { name, profile: self.0.name(), known });
                return Err(A::Error::custom(unknown));
            };
            let (known, kind) = fields[place];
            if values[place].replace(map.next_value_seed(Field(kind, self.1))?).is_some() {
                self.1.note(Mistake::Twice(known));
                return Err(A::Error::duplicate_field(known));
            }
        }
        let missing = |place: usize| {
            self.1.note(Mistake::MissingField(fields[place].0));
            A::Error::missing_field(fields[place].0)
        };
        let given = values.into_iter().enumerate();
        given.map(|(place, value)| value.ok_or_else(|| missing(place))).collect()
    }
}

impl Fields<'_> {
    fn names(&self) -> String {
        let names: Vec<&str> = self.0.terms().fields.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self).inspect_err(|_| self.1.wanted(Wanted::of(self.0)))
    }
}

impl Visitor<'_> for Field<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Text => write!(f, "a text of at most {TEXT_BYTES_MAX} bytes"),
            Kind::Count => f.write_str("a whole number of 0 or more"),
            Kind::Percent => f.write_str("a number from 0 to 100"),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        match self.0 {
            Kind::Text if text.len() <= TEXT_BYTES_MAX => Ok(Value::Text(text.to_owned())),
            Kind::Text => Err(E::invalid_length(text.len(), &self)),
            Kind::Count | Kind::Percent => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        match self.0 {
            Kind::Count => Ok(Value::Whole(number)),
            Kind::Percent if number <= 100 => Ok(Value::Whole(number)),
            Kind::Percent | Kind::Text => {
                Err(E::invalid_value(Unexpected::Unsigned(number), &self))
            }
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        match self.0 {
            Kind::Percent if (0.0..=100.0).contains(&number) => Ok(Value::Real(number)),
            _ => Err(E::invalid_value(Unexpected::Float(number), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        Dataset::reference().replace(json).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_named_by_place() {
        for (json, says) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("[]", "expected an object of profiles"),
            (r#"{"stok":{}}"#, "unknown field `stok`, expected one of `stock`"),
            (r#"{"a\u001b[2J":{}}"#, "unknown field `a\\u{1b}[2J`, expected"),
            (r#"{"stock":[]}"#, "stock: invalid type: sequence, expected an object of rows by sku"),
            (r#"{"stock":{},"stock":{}}"#, "duplicate field `stock`"),
            (r#"{"stock":{"":{}}}"#, "an id must have 1 to 1024 bytes"),
            (
                "{\"stock\":{\n\"a\":{\"name\":\"\",\"stock\":1,\"warehouse\":\"\"},\n\"A\":{}}}",
                "the ids \"a\" and \"A\" are the same at line 3",
            ),
            (r#"{"stock":{"a":{"name":"","stock":1}}}"#, "stock.a: missing field `warehouse`"),
            (
                r#"{"stock":{"a":{"sku":"a"}}}"#,
                "stock.a: unknown field \"sku\": a row of stock has name, stock, warehouse",
            ),
            (
                "{\"stock\":{\"a\":{\n\"stock\":\"1\"}}}",
                "stock.a.stock: invalid type: string \"1\", expected a whole number of 0 or more at line 2",
            ),
            (r#"{"stock":{"a":{"stock":-1}}}"#, "stock.a.stock: invalid type: integer `-1`"),
            (r#"{"stock":{"a":{"stock":1.0}}}"#, "stock.a.stock: invalid value: floating point"),
            (r#"{"stock":{"a":{"name":null}}}"#, "stock.a.name: invalid type: null"),
            (r#"{"stock":{"a":{"name":"","name":""}}}"#, "stock.a: duplicate field `name`"),
            (r#"{"player":{"a":{"win_rate":101}}}"#, "expected a number from 0 to 100"),
            (r#"{"player":{"a":{"win_rate":-0.5}}}"#, "player.a.win_rate: invalid value"),
            (r#"{"stock":{}} x"#, "trailing characters at line 1 column 14"),
        ] {
            let message = refused(json);
            assert!(message.contains(says), "{json}\n{message}\n{says}");
        }
    }

    #[test]
    fn a_mistake_is_known_by_its_kind_and_place() {
        let row = |fields: &str| format!("{{\"stock\":{{\n\"a\":{fields}}}}}");
        let known = || "name, stock, warehouse".to_owned();
        for (json, field, line, expected) in [
            ("{".to_owned(), None, 1, Mistake::Syntax("EOF while parsing".to_owned())),
            ("7".to_owned(), None, 1, Mistake::Kind(Wanted::Profiles)),
            ("{\"stok\":1}".to_owned(), None, 1, Mistake::UnknownProfile("stok".to_owned())),
            (
                row("{\"name\":"),
                Some("stock.a.name"),
                2,
                Mistake::Syntax("expected value".to_owned()),
            ),
            (row("[]"), Some("stock.a"), 2, Mistake::Kind(Wanted::Fields(known()))),
            (row("{\"stock\":-1}"), Some("stock.a.stock"), 2, Mistake::Kind(Wanted::Count)),
            (row("{\"name\":\"\"}"), Some("stock.a"), 2, Mistake::MissingField("stock")),
            (
                row("{\"sku\":1}"),
                Some("stock.a"),
                2,
                Mistake::UnknownField { name: "sku".to_owned(), profile: "stock", known: known() },
            ),
        ] {
            let error = Dataset::reference().replace(&json).unwrap_err();
            match (error.mistake(), &expected) {
                (Mistake::Syntax(said), Mistake::Syntax(begins)) => {
                    assert!(said.starts_with(begins), "{said}");
                }
                (found, _) => assert_eq!(*found, expected, "{json}"),
            }
            assert_eq!((error.field(), error.line()), (field, line), "{json}");
        }
    }

    #[test]
    fn what_is_printed_is_what_was_read() {
        let reference = Dataset::reference();
        for profile in Profile::ALL {
            assert_eq!(reference.print(profile), profile.terms().reference, "{}", profile.name());
        }
    }

    #[test]
    fn rows_replace_or_extend_a_profile_and_leave_the_others() {
        let row = r#"{"player":{"player05":{"rank":"\u00e9","username":"x","win_rate":72}}}"#;
        let reply = "{\"player_id\":\"PLAYER05\",\"rank\":\"\\u00e9\",\"username\":\"x\",\"win_rate\":72}\n";
        let (mut replaced, mut extended) = (Dataset::reference(), Dataset::reference());
        replaced.replace(row).unwrap();
        extended.extend(row).unwrap();
        for (dataset, has_others) in [(replaced, false), (extended, true)] {
            let found = dataset.find(Profile::Player, "PLAYER05").unwrap();
            assert_eq!(found, reply);
            assert_eq!(dataset.find(Profile::Player, "PLAYER01").is_some(), has_others);
            assert!(dataset.find(Profile::Stock, "SKU-001").is_some());
        }
    }

    #[test]
    fn a_data_set_with_a_mistake_replaces_nothing() {
        let mut dataset = Dataset::reference();
        dataset.replace(r#"{"stock":{},"player":1}"#).unwrap_err();
        assert!(dataset.find(Profile::Stock, "SKU-001").is_some());
    }
}
