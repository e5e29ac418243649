// SPDX-License-Identifier: Apache-2.0

//! Decide the requests of one folder of bench/policy_corpus with regorus, on one core: by its virtual machine (RVM) and by its
//! interpreter; with the input parsed before, and again from JSON text. Time is the process's CPU time.
//!
//! usage: peer_regorus FOLDER SECONDS      prints one JSON object

use std::collections::BTreeMap;
use std::error::Error;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Instant;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, PolicyLengthConfig, Rc, Value};

const ENTRYPOINT: &str = "data.bench.decision";

type Failure = Box<dyn Error>;

fn read(folder: &Path, name: &str) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(folder.join(name))?)
}

/// Both ways of regorus to evaluate the entrypoint.
trait Evaluator {
    fn decide(&mut self, input: Value) -> Result<Value, Failure>;
}

impl Evaluator for Engine {
    fn decide(&mut self, input: Value) -> Result<Value, Failure> {
        self.set_input(input);
        Ok(self.eval_rule(ENTRYPOINT.to_string())?)
    }
}

impl Evaluator for RegoVM {
    fn decide(&mut self, input: Value) -> Result<Value, Failure> {
        self.set_input(input);
        Ok(self.execute()?)
    }
}

fn interpreter(folder: &Path) -> Result<Engine, Failure> {
    let mut engine = Engine::new();
    // Its own limits are 1 MiB and 20,000 lines: a policy of 10,000 rules has more.
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::MAX,
        max_file_bytes: NonZeroUsize::MAX,
        max_lines: NonZeroUsize::MAX,
    });
    for name in ["policy.rego", "decision.rego"] {
        engine.add_policy(name.to_string(), read(folder, name)?)?;
    }
    engine.add_data(Value::from_json_str(&read(folder, "data.json")?)?)?;
    Ok(engine)
}

fn machine(folder: &Path) -> Result<RegoVM, Failure> {
    let entrypoint: Rc<str> = ENTRYPOINT.into();
    let compiled = interpreter(folder)?.compile_with_entrypoint(&entrypoint)?;
    let program = Compiler::compile_from_policy(&compiled, &[ENTRYPOINT])?;
    let mut vm = RegoVM::new();
    vm.load_program(program);
    vm.set_data(Value::from_json_str(&read(folder, "data.json")?)?)?;
    vm.set_max_instructions(usize::MAX);
    Ok(vm)
}

/// The rule's array holds something true, or a set that is not empty.
fn fires(decision: &Value, rule: &str) -> bool {
    match &decision[rule][0] {
        Value::Undefined => false,
        Value::Bool(value) => *value,
        Value::Set(set) => !set.is_empty(),
        _ => true,
    }
}

fn verdict(decision: &Value) -> &'static str {
    ["deny", "review", "allow"].into_iter().find(|rule| fires(decision, rule)).unwrap_or("review")
}

type Verdicts = BTreeMap<&'static str, u32>;

fn verdicts(evaluator: &mut dyn Evaluator, inputs: &[Value]) -> Result<Verdicts, Failure> {
    let mut counts = Verdicts::from([("allow", 0), ("deny", 0), ("review", 0)]);
    for input in inputs {
        *counts.entry(verdict(&evaluator.decide(input.clone())?)).or_default() += 1;
    }
    Ok(counts)
}

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Nanoseconds of CPU time for one call, over whole rounds of all requests for about `seconds`. `warm`: it needs no round before.
fn measure(count: usize, seconds: f64, warm: bool, mut call: impl FnMut(usize) -> Result<(), Failure>) -> Result<f64, Failure> {
    for i in 0..if warm { 0 } else { count } {
        call(i)?;
    }
    let (mut calls, begin) = (0, cpu_seconds());
    while cpu_seconds() - begin < seconds {
        for i in 0..count {
            call(i)?;
        }
        calls += count;
    }
    Ok((cpu_seconds() - begin) / calls as f64 * 1e9)
}

fn run(folder: &Path, seconds: f64) -> Result<serde_json::Value, Failure> {
    let text = read(folder, "requests.jsonl")?;
    let lines: Vec<&str> = text.lines().collect();
    let inputs = lines.iter().map(|line| Value::from_json_str(line)).collect::<Result<Vec<_>, _>>()?;
    let begin = Instant::now();
    let mut engines: Vec<(&str, Box<dyn Evaluator>)> = Vec::new();
    let mut without_rvm = None;
    match machine(folder) {
        Ok(rvm) => engines.push(("rvm", Box::new(rvm))),
        // A program may have 65,535 instructions: a policy of 10,000 rules is left to the interpreter.
        Err(error) => without_rvm = Some(error.to_string()),
    }
    let prepare_ms = begin.elapsed().as_secs_f64() * 1e3;
    engines.push(("interpreter", Box::new(interpreter(folder)?)));

    let (mut decide_ns, mut parse_decide_ns) = (BTreeMap::new(), BTreeMap::new());
    let mut agreed: Option<Verdicts> = None;
    for (mode, engine) in &mut engines {
        let begin = cpu_seconds();
        let found = verdicts(engine.as_mut(), &inputs)?;
        let warm = cpu_seconds() - begin > 10.0; // a round takes so long that one more changes nothing
        if agreed.get_or_insert_with(|| found.clone()) != &found {
            return Err(format!("rvm and interpreter disagree: {agreed:?} {found:?}").into());
        }
        let decided = measure(lines.len(), seconds, warm, |i| engine.decide(inputs[i].clone()).map(drop))?;
        let parsed = measure(lines.len(), seconds, warm, |i| engine.decide(Value::from_json_str(lines[i])?).map(drop))?;
        decide_ns.insert(*mode, decided);
        parse_decide_ns.insert(*mode, parsed);
    }
    Ok(serde_json::json!({
        "engine": "regorus 0.14.1",
        "verdicts": agreed,
        "prepare_ms": prepare_ms,
        "without_rvm": without_rvm,
        "decide_ns": decide_ns,
        "parse_decide_ns": parse_decide_ns,
    }))
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let Some(seconds) = args.get(2).and_then(|text| text.parse().ok()).filter(|_| args.len() == 3) else {
        eprintln!("usage: peer_regorus FOLDER SECONDS");
        std::process::exit(2);
    };
    match run(Path::new(&args[1]), seconds) {
        Ok(report) => println!("{report}"),
        Err(error) => {
            eprintln!("peer_regorus: {error}");
            std::process::exit(1);
        }
    }
}
