//! A Kubernetes PodTemplateSpec as a sandbox. What has no meaning for a sandbox is refused by its name.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::{entrypoint, env, resources, source};
use crate::{
    api::error::ApiError,
    runtime::Limits,
    sandbox::{Probe, Readiness, Recipe},
};

/// Kubernetes' own defaults for a probe.
const DEFAULT_PERIOD: u64 = 10;
const DEFAULT_FAILURES: u64 = 3;
/// A member that takes longer to become ready is started anew.
const MAX_SECONDS: u64 = 3600;

/// The members of one object, taken away one by one; what is left at the end is refused.
struct Members<'a> {
    place: String,
    left: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Members<'a> {
    fn of(place: impl Into<String>, value: &'a Value) -> Result<Self, ApiError> {
        let place = place.into();
        match value.as_object() {
            Some(object) => Ok(Self::of_map(place, object)),
            None => Err(ApiError::invalid(place, "must be an object")),
        }
    }

    /// What is null or empty is as good as absent: tools write such members out.
    fn of_map(place: String, object: &'a Map<String, Value>) -> Self {
        let says_something = |value: &Value| match value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => true,
        };
        let left = object.iter().filter(|(_, value)| says_something(value));
        Self { place, left: left.map(|(name, value)| (name.as_str(), value)).collect() }
    }

    fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }

    fn take(&mut self, name: &str) -> Option<&'a Value> {
        self.left.remove(name)
    }

    fn object(&mut self, name: &str) -> Result<Option<Self>, ApiError> {
        let place = self.at(name);
        self.take(name).map(|value| Self::of(place, value)).transpose()
    }

    fn text(&mut self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let place = self.at(name);
        let text =
            |value: &'a Value| value.as_str().ok_or_else(|| ApiError::invalid(place, "must be a text"));
        self.take(name).map(text).transpose()
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>, ApiError> {
        let place = self.at(name);
        let problem = "must be a whole number of at least 0";
        let number = |value: &Value| value.as_u64().ok_or_else(|| ApiError::invalid(place, problem));
        self.take(name).map(number).transpose()
    }

    fn list(&mut self, name: &str) -> Result<&'a [Value], ApiError> {
        let place = self.at(name);
        match self.take(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(ApiError::invalid(place, "must be a list")),
        }
    }

    fn texts(&mut self, name: &str) -> Result<Vec<String>, ApiError> {
        let place = self.at(name);
        let text = |(index, value): (usize, &Value)| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or_else(|| ApiError::invalid(format_args!("{place}[{index}]"), "must be a text"))
        };
        self.list(name)?.iter().enumerate().map(text).collect()
    }

    fn map(&mut self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let Some(members) = self.object(name)? else { return Ok(BTreeMap::new()) };
        let amount = |(name, value): (&&str, &&Value)| match value {
            Value::String(text) => Ok(((*name).to_owned(), text.clone())),
            Value::Number(number) => Ok(((*name).to_owned(), number.to_string())),
            _ => Err(ApiError::invalid(members.at(name), "must be a text or a number")),
        };
        members.left.iter().map(amount).collect()
    }

    /// A member that may only say what a sandbox does anyway.
    fn only(&mut self, name: &str, allowed: &[Value]) -> Result<(), ApiError> {
        match self.take(name) {
            Some(value) if !allowed.contains(value) => {
                let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
                let problem = format!("a sandbox can only have {}", allowed.join(" or "));
                Err(ApiError::invalid(self.at(name), problem))
            }
            _ => Ok(()),
        }
    }

    fn end(self) -> Result<(), ApiError> {
        match self.left.keys().next() {
            Some(name) => Err(ApiError::invalid(self.at(name), "cannot be mapped onto a sandbox")),
            None => Ok(()),
        }
    }
}

/// What the pod's only container says about a sandbox.
pub(super) fn recipe(template: &Map<String, Value>) -> Result<Recipe, ApiError> {
    let mut template = Members::of_map("template".to_owned(), template);
    // Labels and annotations are for tools of the cluster; there are none here.
    template.take("metadata");
    let missing = || ApiError::invalid("template.spec", "is required");
    let mut spec = template.object("spec")?.ok_or_else(missing)?;
    template.end()?;
    // A sandbox ends with its program, and at once.
    spec.only("restartPolicy", &["Never".into()])?;
    spec.only("terminationGracePeriodSeconds", &[0.into()])?;
    spec.only("automountServiceAccountToken", &[false.into()])?;
    spec.only("enableServiceLinks", &[false.into()])?;
    let (user, place) = (user(&mut spec)?, spec.at("containers"));
    let containers = spec.list("containers")?;
    spec.end()?;
    match containers {
        [only] => container(&format!("{place}[0]"), only, user),
        [] => Err(ApiError::invalid(place, "must have a container")),
        _ => {
            Err(ApiError::invalid(format_args!("{place}[1]"), "cannot be mapped: a sandbox is one container"))
        }
    }
}

fn container(place: &str, container: &Value, pod_user: Option<String>) -> Result<Recipe, ApiError> {
    let mut members = Members::of(place, container)?;
    members.text("name")?;
    // Ports need no opening: the server forwards to any.
    members.take("ports");
    members.only("imagePullPolicy", &["IfNotPresent".into()])?;
    members.only("stdin", &[false.into()])?;
    members.only("tty", &[false.into()])?;
    let image =
        members.text("image")?.ok_or_else(|| ApiError::invalid(members.at("image"), "is required"))?;
    let image = source::reference(&members.at("image"), image)?;
    let command = command(&mut members)?;
    let env = variables(&mut members)?;
    let working_dir = members.text("workingDir")?.map(str::to_owned);
    if working_dir.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains('\0')) {
        return Err(ApiError::invalid(members.at("workingDir"), "must be an absolute path"));
    }
    let limits = limits(&mut members)?;
    let readiness = members.object("readinessProbe")?.map(readiness).transpose()?;
    let user = user(&mut members)?.or(pod_user);
    members.end()?;
    Ok(Recipe { image, image_id: None, command, env, limits, working_dir, user, readiness })
}

/// Program and arguments; arguments alone would need the image's program, which no sandbox runs by itself.
fn command(members: &mut Members<'_>) -> Result<Vec<String>, ApiError> {
    let place = members.at("args");
    let (command, arguments) = (members.texts("command")?, members.texts("args")?);
    match (command.is_empty(), arguments.is_empty()) {
        (true, true) => Ok(Vec::new()),
        (true, false) => Err(ApiError::invalid(place, "needs command")),
        (false, _) => {
            // Two words at least are no shell line to be split.
            let words = [command, arguments].concat();
            if words.len() == 1 { Ok(words) } else { entrypoint::check(Some(words)) }
        }
    }
}

fn variables(members: &mut Members<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let place = members.at("env");
    let mut env = BTreeMap::new();
    for (index, variable) in members.list("env")?.iter().enumerate() {
        let mut variable = Members::of(format!("{place}[{index}]"), variable)?;
        let name =
            variable.text("name")?.ok_or_else(|| ApiError::invalid(variable.at("name"), "is required"))?;
        let value = variable.text("value")?.unwrap_or_default();
        variable.end()?;
        env.insert(name.to_owned(), Some(value.to_owned()));
    }
    env::check(env)
}

fn limits(members: &mut Members<'_>) -> Result<Limits, ApiError> {
    let Some(mut resources) = members.object("resources")? else { return Ok(Default::default()) };
    let place = resources.at("limits");
    let (mut limits, requests) = (resources.map("limits")?, resources.map("requests")?);
    resources.end()?;
    if let Some(disk) = limits.remove("ephemeral-storage") {
        limits.insert("disk".to_owned(), disk);
    }
    if let Some(name) = limits.keys().find(|name| !["cpu", "memory", "disk", "pids"].contains(&name.as_str()))
    {
        return Err(ApiError::invalid(format_args!("{place}.{name}"), "cannot be mapped onto a sandbox"));
    }
    let mut limits = resources::limits(&limits)?;
    limits.guaranteed = resources::requests(&requests, &limits, &Limits::default())?;
    Ok(limits)
}

/// The user a security context names, and nothing more.
fn user(members: &mut Members<'_>) -> Result<Option<String>, ApiError> {
    let Some(mut context) = members.object("securityContext")? else { return Ok(None) };
    context.only("privileged", &[false.into()])?;
    context.only("allowPrivilegeEscalation", &[false.into()])?;
    let (user, group) = (context.number("runAsUser")?, context.number("runAsGroup")?);
    let place = context.at("runAsGroup");
    context.end()?;
    match (user, group) {
        (Some(user), Some(group)) => Ok(Some(format!("{user}:{group}"))),
        (Some(user), None) => Ok(Some(user.to_string())),
        (None, Some(_)) => Err(ApiError::invalid(place, "needs runAsUser")),
        (None, None) => Ok(None),
    }
}

fn readiness(mut probe: Members<'_>) -> Result<Readiness, ApiError> {
    let delay = probe.number("initialDelaySeconds")?.unwrap_or(0);
    let period = probe.number("periodSeconds")?.unwrap_or(DEFAULT_PERIOD);
    let failures = probe.number("failureThreshold")?.unwrap_or(DEFAULT_FAILURES);
    probe.take("timeoutSeconds");
    probe.only("successThreshold", &[1.into()])?;
    let question = match (probe.object("tcpSocket")?, probe.object("exec")?) {
        (Some(mut socket), None) => {
            let place = socket.at("port");
            let port =
                socket.number("port")?.and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0);
            socket.end()?;
            Probe::Tcp(port.ok_or_else(|| ApiError::invalid(place, "must be a number from 1 to 65535"))?)
        }
        (None, Some(mut command)) => {
            let place = command.at("command");
            let words = command.texts("command")?;
            command.end()?;
            let line = shlex::try_join(words.iter().map(String::as_str)).ok().filter(|line| !line.is_empty());
            Probe::Command(line.ok_or_else(|| ApiError::invalid(place, "must name a program"))?)
        }
        _ => return Err(ApiError::invalid(probe.place, "must have either tcpSocket or exec")),
    };
    probe.end()?;
    let seconds = period.saturating_mul(failures).saturating_add(delay);
    Ok(Readiness { probe: Some(question), seconds: seconds.clamp(1, MAX_SECONDS) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(spec: Value) -> Result<Recipe, ApiError> {
        recipe(json!({"metadata": {"labels": {"a": "b"}}, "spec": spec}).as_object().unwrap())
    }

    /// A pod of one container with `patch` merged over it.
    fn pod(patch: Value) -> Value {
        let mut container = json!({"name": "sandbox", "image": "python:3.12"});
        for (key, value) in patch.as_object().unwrap() {
            container[key] = value.clone();
        }
        json!({"containers": [container]})
    }

    #[test]
    fn the_container_becomes_a_recipe() {
        let recipe = check(pod(json!({
            "command": ["sh", "-c"], "args": ["sleep 1"], "workingDir": "/srv", "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "A", "value": "1"}, {"name": "B"}], "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": 2, "memory": "1Gi", "ephemeral-storage": "3Gi"}, "requests": {"cpu": "1"}},
            "securityContext": {"runAsUser": 1000, "runAsGroup": 100, "privileged": false},
            "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 2, "failureThreshold": 5},
            "volumeMounts": [], "lifecycle": null,
        })))
        .unwrap();
        assert_eq!(recipe.image, "python:3.12");
        assert_eq!(recipe.command, ["sh", "-c", "sleep 1"]);
        assert_eq!(
            recipe.env.into_iter().collect::<Vec<_>>(),
            [("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())]
        );
        assert_eq!(recipe.limits.cpu_millis, Some(2000));
        assert_eq!(recipe.limits.memory_bytes, Some(1 << 30));
        assert_eq!(recipe.limits.disk_bytes, Some(3 << 30));
        assert_eq!(recipe.limits.guaranteed.cpu_millis, Some(1000));
        assert_eq!((recipe.working_dir.as_deref(), recipe.user.as_deref()), (Some("/srv"), Some("1000:100")));
        assert_eq!(recipe.readiness, Some(Readiness { probe: Some(Probe::Tcp(80)), seconds: 10 }));
    }

    #[test]
    fn a_bare_container_is_enough() {
        let recipe = check(pod(json!({}))).unwrap();
        assert!(recipe.command.is_empty() && recipe.readiness.is_none());
        let exec = json!({"readinessProbe": {"exec": {"command": ["test", "-e", "/a b"]}}});
        let readiness = check(pod(exec)).unwrap().readiness.unwrap();
        assert_eq!(readiness.probe, Some(Probe::Command("test -e '/a b'".to_owned())));
        assert_eq!(readiness.seconds, 30);
    }

    #[test]
    fn what_cannot_be_mapped_is_refused_by_name() {
        let first = "template.spec.containers[0]";
        for (spec, place) in [
            (json!({}), "template.spec".to_owned()),
            (json!({"volumes": []}), "template.spec.containers".to_owned()),
            (json!({"containers": 5}), "template.spec.containers".to_owned()),
            (json!({"containers": [5]}), first.to_owned()),
            (
                json!({"containers": [{"image": "a"}, {"image": "b"}]}),
                "template.spec.containers[1]".to_owned(),
            ),
            (json!({"containers": [{}]}), first.to_owned() + ".image"),
            (pod(json!({"image": " "})), first.to_owned() + ".image"),
            (pod(json!({"args": ["x"]})), first.to_owned() + ".args"),
            (pod(json!({"command": "x"})), first.to_owned() + ".command"),
            (pod(json!({"envFrom": [{"secretRef": {"name": "x"}}]})), first.to_owned() + ".envFrom"),
            (pod(json!({"env": [{"value": "x"}]})), first.to_owned() + ".env[0].name"),
            (
                pod(json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]})),
                first.to_owned() + ".env[0].valueFrom",
            ),
            (pod(json!({"volumeMounts": [{"name": "x"}]})), first.to_owned() + ".volumeMounts"),
            (pod(json!({"livenessProbe": {"exec": {}}})), first.to_owned() + ".livenessProbe"),
            (
                pod(json!({"securityContext": {"privileged": true}})),
                first.to_owned() + ".securityContext.privileged",
            ),
            (
                pod(json!({"securityContext": {"capabilities": {"add": ["X"]}}})),
                first.to_owned() + ".securityContext.capabilities",
            ),
            (pod(json!({"imagePullPolicy": "Always"})), first.to_owned() + ".imagePullPolicy"),
            (pod(json!({"workingDir": "rel"})), first.to_owned() + ".workingDir"),
            (
                pod(json!({"resources": {"limits": {"nvidia.com/gpu": 1}}})),
                first.to_owned() + ".resources.limits.nvidia.com/gpu",
            ),
            (pod(json!({"readinessProbe": {"httpGet": {"port": 80}}})), first.to_owned() + ".readinessProbe"),
        ] {
            let error = check(spec.clone()).unwrap_err();
            assert!(error.message.starts_with(&format!("{place}: ")), "{spec}: {}", error.message);
        }
        for name in
            ["initContainers", "nodeSelector", "hostNetwork", "serviceAccountName", "imagePullSecrets"]
        {
            let mut spec = pod(json!({}));
            spec[name] = json!(["x"]);
            let error = check(spec).unwrap_err();
            assert_eq!(error.message, format!("template.spec.{name}: cannot be mapped onto a sandbox"));
        }
    }
}
