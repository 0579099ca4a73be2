//! The bodies of routines, in which semicolons end nothing.
//!
//! MySQL's own client knows nothing about them and needs `DELIMITER`. But servers do, and whoever sends them
//! whole files (sqlx does) writes triggers without. So the blocks are followed as the server's grammar has
//! them: words such as IF, REPEAT and END are names and functions, too, unless they stand where a statement
//! begins.

use super::Dialect;

/// What is open in the statement that is being read.
pub(super) struct Blocks<'a> {
    dialect: Dialect,
    stage: Stage,
    open: Vec<Block>,
    /// Open parentheses.
    parentheses: u32,
    /// A statement of a body may begin here.
    start: bool,
    /// The last word stood where a statement begins: it may be a label.
    label: bool,
    /// An END whose next word decides what it ends; true if it stood where a statement begins.
    end: Option<bool>,
    /// What the statement within the body has been so far.
    inner: Inner,
    last: Last<'a>,
}

/// How far the statement has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing yet.
    First,
    /// BEGIN, which alone begins a transaction, and with NOT ATOMIC a block of MariaDB.
    Begin,
    /// CREATE or ALTER, and what may stand before the kind.
    Create,
    /// The head of a routine; `true` once its parameters are through.
    Head(Routine, bool),
    /// Its body.
    Body,
    /// No routine.
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Routine {
    /// A procedure or a function.
    Callable,
    Trigger,
    Event,
    Package,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Begin,
    If,
    /// The statement, ended by END CASE.
    Case,
    /// The expression, ended by END.
    CaseExpression,
    Loop,
    While,
    Repeat,
    For,
    /// What stands between AS and BEGIN in MariaDB's Oracle mode.
    Declarations,
    Package,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inner {
    Other,
    Declare,
    /// `DECLARE .. HANDLER FOR`, before its statement.
    Handler,
    /// RETURN as the first word of a body, or of Oracle's result type.
    Return,
    /// PROCEDURE or FUNCTION in a package.
    Member,
}

/// The last token, blanks and comments aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last<'a> {
    None,
    Word(&'a str),
    Quoted,
    Symbol(u8),
}

/// Statements in which IF and CASE are expressions, and that can be all of a body.
const SIMPLE: [&str; 20] = [
    "SELECT", "SET", "INSERT", "UPDATE", "DELETE", "REPLACE", "CALL", "WITH", "DO", "VALUES", "TRUNCATE",
    "CREATE", "ALTER", "DROP", "PREPARE", "EXECUTE", "SIGNAL", "RESIGNAL", "START", "COMMIT",
];

/// Words that open a block where a statement begins.
const OPENING: [&str; 7] = ["BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR"];

impl<'a> Blocks<'a> {
    pub fn new(dialect: Dialect) -> Blocks<'a> {
        Blocks {
            dialect,
            stage: Stage::First,
            open: Vec::new(),
            parentheses: 0,
            start: false,
            label: false,
            end: None,
            inner: Inner::Other,
            last: Last::None,
        }
    }

    /// A keyword, a name without quotes, a number.
    pub fn word(&mut self, word: &'a str) {
        let upper = word.to_ascii_uppercase();
        match self.dialect {
            // After a dot it is a name, whatever it looks like.
            _ if self.last == Last::Symbol(b'.') => {}
            Dialect::Postgres => self.postgres_word(&upper),
            Dialect::MySql => {
                if !self.settle_end(Some(&upper)) {
                    self.mysql_word(&upper);
                }
            }
        }
        self.last = Last::Word(word);
    }

    /// A string or a name in quotes.
    pub fn quoted(&mut self) {
        self.settle_end(None);
        // MySQL 9: `AS $$ .. $$` is a body in another language.
        if self.last_is("AS") && self.top() == Some(Block::Declarations) {
            self.open.pop();
        }
        self.label = self.start;
        self.start = self.start && self.trigger_is_named();
        self.last = Last::Quoted;
    }

    /// Anything else. A semicolon comes here if it ends no statement anyway.
    pub fn symbol(&mut self, symbol: u8) {
        if symbol == b';' {
            self.semicolon();
            return;
        }
        self.settle_end(None);
        match symbol {
            b'(' => self.parentheses += 1,
            b')' => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        self.start = false;
        match self.stage {
            Stage::Head(routine, _) if symbol == b')' && self.parentheses == 0 => {
                self.stage = Stage::Head(routine, true);
            }
            Stage::Head(Routine::Callable, true) if symbol == b':' && self.parentheses == 0 => self.begin(),
            Stage::Body if symbol == b':' && self.label => self.begin(),
            Stage::First | Stage::Begin => self.stage = Stage::Plain,
            _ => {}
        }
        self.label = false;
        self.last = Last::Symbol(symbol);
    }

    /// A semicolon: true if it ends the statement.
    pub fn semicolon(&mut self) -> bool {
        if self.dialect == Dialect::Postgres {
            // A rule may have several actions: `DO (INSERT ..; DELETE ..)`.
            return self.parentheses == 0 && self.open.is_empty();
        }
        self.settle_end(None);
        self.inner = Inner::Other;
        self.label = false;
        self.last = Last::Symbol(b';');
        self.start = !self.open.is_empty();
        !self.start
    }

    fn top(&self) -> Option<Block> {
        self.open.last().copied()
    }

    fn last_is(&self, word: &str) -> bool {
        matches!(self.last, Last::Word(last) if last.eq_ignore_ascii_case(word))
    }

    /// Here a statement of a body begins.
    fn begin(&mut self) {
        self.stage = Stage::Body;
        self.start = true;
    }

    /// Here a block begins, and with it its first statement.
    fn enter(&mut self, block: Block) {
        self.open.push(block);
        self.begin();
    }

    /// `CREATE FUNCTION .. BEGIN ATOMIC .. END`, where CASE has an END, too.
    fn postgres_word(&mut self, word: &str) {
        self.stage = match (self.stage, word) {
            (Stage::First, "CREATE") => Stage::Create,
            (Stage::Create, "OR" | "REPLACE") => Stage::Create,
            (Stage::Create, "FUNCTION" | "PROCEDURE") => Stage::Body,
            (Stage::Body, _) => Stage::Body,
            _ => Stage::Plain,
        };
        if self.stage != Stage::Body {
            return;
        }
        match word {
            "ATOMIC" if self.last_is("BEGIN") && self.open.is_empty() => self.open.push(Block::Begin),
            "CASE" if !self.open.is_empty() => self.open.push(Block::CaseExpression),
            "END" if !self.last_is("AS") => {
                self.open.pop();
            }
            _ => {}
        }
    }

    fn mysql_word(&mut self, word: &str) {
        match self.stage {
            Stage::First => match word {
                "CREATE" | "ALTER" => self.stage = Stage::Create,
                "BEGIN" => self.stage = Stage::Begin,
                // MariaDB takes these without a routine around them.
                _ if OPENING.contains(&word) => {
                    self.begin();
                    self.body_word(word);
                }
                _ => self.stage = Stage::Plain,
            },
            Stage::Begin => match word {
                "NOT" => {}
                "ATOMIC" if self.last_is("NOT") => self.enter(Block::Begin),
                _ => self.stage = Stage::Plain,
            },
            Stage::Create => {
                self.stage = match word {
                    "PROCEDURE" | "FUNCTION" => Stage::Head(Routine::Callable, false),
                    "TRIGGER" => Stage::Head(Routine::Trigger, false),
                    "EVENT" => Stage::Head(Routine::Event, false),
                    "PACKAGE" => Stage::Head(Routine::Package, false),
                    // What has no body.
                    "TABLE" | "VIEW" | "INDEX" | "DATABASE" | "SCHEMA" | "USER" | "ROLE" | "SERVER"
                    | "SEQUENCE" | "TABLESPACE" | "UNIQUE" | "FULLTEXT" | "SPATIAL" | "TEMPORARY"
                    | "LOGFILE" | "UNDO" | "RESOURCE" => Stage::Plain,
                    _ => Stage::Create,
                }
            }
            Stage::Head(routine, through) if self.parentheses == 0 => self.head_word(word, routine, through),
            Stage::Body => self.body_word(word),
            Stage::Head(..) | Stage::Plain => {}
        }
    }

    /// A word between the routine's kind and its body.
    fn head_word(&mut self, word: &str, routine: Routine, through: bool) {
        match (routine, word) {
            (Routine::Trigger, "ROW") if self.last_is("EACH") => self.begin(),
            (Routine::Event, "DO") => self.begin(),
            (Routine::Package, "AS" | "IS") => self.enter(Block::Package),
            (Routine::Callable, "AS" | "IS") => self.enter(Block::Declarations),
            (Routine::Callable, "RETURN") => {
                self.stage = Stage::Body;
                self.inner = Inner::Return;
            }
            (Routine::Callable, _) if through && OPENING.contains(&word) => {
                self.begin();
                self.body_word(word);
            }
            // `RETURNS SET('a')`, `CHARACTER SET utf8`
            (Routine::Callable, "SET")
                if ["RETURNS", "CHARACTER", "CHAR"]
                    .iter()
                    .any(|before| self.last_is(before)) => {}
            (Routine::Callable, _) if through && SIMPLE.contains(&word) => self.stage = Stage::Body,
            _ => {}
        }
    }

    /// `FOLLOWS other` between `FOR EACH ROW` and the body of a trigger.
    fn trigger_is_named(&self) -> bool {
        self.open.is_empty() && (self.last_is("FOLLOWS") || self.last_is("PRECEDES"))
    }

    fn body_word(&mut self, word: &str) {
        if self.start && self.trigger_is_named() {
            return;
        }
        self.label = self.start;
        if std::mem::take(&mut self.start) {
            self.first_word(word);
        } else {
            self.later_word(word);
        }
    }

    /// A word where a statement of the body begins.
    fn first_word(&mut self, word: &str) {
        match word {
            "BEGIN" => {
                if matches!(self.top(), Some(Block::Declarations | Block::Package)) {
                    self.open.pop();
                }
                self.enter(Block::Begin);
            }
            "LOOP" => self.enter(Block::Loop),
            "REPEAT" => self.enter(Block::Repeat),
            "IF" => self.open.push(Block::If),
            "CASE" => self.open.push(Block::Case),
            "WHILE" => self.open.push(Block::While),
            "FOR" => self.open.push(Block::For),
            "DECLARE" if self.open.is_empty() => self.enter(Block::Declarations),
            "DECLARE" => self.inner = Inner::Declare,
            "PROCEDURE" | "FUNCTION" if self.top() == Some(Block::Package) => self.inner = Inner::Member,
            "FOLLOWS" | "PRECEDES" if self.open.is_empty() => self.start = true,
            "ELSE" => self.start = true,
            "END" => self.end = Some(true),
            _ => {}
        }
    }

    /// A word in the middle of a statement of the body.
    fn later_word(&mut self, word: &str) {
        let top = self.top();
        match (self.inner, word) {
            (Inner::Declare, "HANDLER") => self.inner = Inner::Handler,
            (Inner::Handler, _) if OPENING.contains(&word) && word != "FOR" => {
                self.inner = Inner::Other;
                self.first_word(word);
                return;
            }
            (Inner::Handler, _) if SIMPLE.contains(&word) => self.inner = Inner::Other,
            (Inner::Member, "AS" | "IS") if self.parentheses == 0 => {
                self.inner = Inner::Other;
                self.enter(Block::Declarations);
            }
            (Inner::Return, "AS") if self.parentheses == 0 && self.open.is_empty() => {
                self.inner = Inner::Other;
                self.enter(Block::Declarations);
            }
            _ => {}
        }
        match word {
            "CASE" => self.open.push(Block::CaseExpression),
            "END" if top == Some(Block::CaseExpression) => {
                self.open.pop();
            }
            // `UNTIL condition END REPEAT`
            "END" if top == Some(Block::Repeat) => self.end = Some(false),
            "THEN" | "ELSE" if top.is_some_and(|top| top != Block::CaseExpression) => self.start = true,
            "DO" | "LOOP" if matches!(top, Some(Block::While | Block::For)) => self.start = true,
            "ATOMIC" if self.last_is("NOT") && top == Some(Block::Begin) => self.start = true,
            _ => {}
        }
    }

    /// Closes what an END before this token ends; true if the token is a word that belongs to it.
    fn settle_end(&mut self, word: Option<&str>) -> bool {
        let (Some(first), Some(top)) = (self.end.take(), self.top()) else {
            return false;
        };
        let named = match word {
            Some("IF") => top == Block::If,
            Some("CASE") => top == Block::Case,
            Some("WHILE") => top == Block::While,
            Some("REPEAT") => top == Block::Repeat,
            Some("FOR") => top == Block::For,
            Some("LOOP") => matches!(top, Block::Loop | Block::While | Block::For),
            _ => false,
        };
        let plain = first && matches!(top, Block::Begin | Block::Declarations | Block::Package);
        if named || plain {
            self.open.pop();
        }
        named
    }
}
