"""Mistakes of the training loop itself: what steps, what is stepped, with which gradients, in which mode."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import rules
from ...layers import Module, Parameter
from ...layers.normalisation import ChannelNorm
from ...tensor import Tensor
from ..findings import Finding
from ..lines import Line
from .catalogue import found
from .observation import Observer
from .records import Call, Operation, Round, sensitive

LISTED = 4  # names in a list
MANY_STEPS = 3  # from where on a habit is no accident
ENDS = {
    rules.multiply: "Their way to the loss ends in a product with 0",
    rules.clip: "Their way to the loss ends where all numbers are beyond the limits of clip()",
    rules.where: "Their way to the loss ends where where() takes the other branch everywhere",
}


def check_loop(o: Observer, raised: bool = False) -> Iterator[Finding]:
    """Findings MG101 to MG110; of a script that raised, what it never came to is no finding."""
    if not raised:
        yield from _updates(o)
    yield from _doubled(o)
    yield from _held(o)
    yield from _without_gradient(o)
    yield from _stale(o)
    yield from _sums(o)
    yield from _modes(o, raised)
    yield from _decay(o)


def listed(names: list[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def name_of(p: Tensor, names: dict[int, str]) -> str:
    """A parameter's name, or what else tells which it is."""
    if id(p) in names:
        return names[id(p)]
    made = getattr(p, "_line", None)
    return f"one of shape {p.shape}" + (f" made in {made}" if made is not None else "")


def _parameters(optimizer: Any) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _optimizer_name(o: Observer, optimizer: Any) -> str:
    return o.names.get(id(optimizer), "optimizer")


def _model_parameters(o: Observer) -> dict[int, Tensor]:
    return {id(p): p for root in o.roots for p in root.parameters()}


def _updates(o: Observer) -> Iterator[Finding]:
    name = _optimizer_name(o, next(iter(o.optimizers.values()), None))
    trains = bool(o.first_losses or o.backwards)
    if o.optimizers and not o.backwards and not o.useless_backwards and trains:
        forwards = f"{len(o.calls)} forward {'pass' if len(o.calls) == 1 else 'passes'}"
        steps = sum(o.optimizer_steps.values())
        seen = f"{forwards} and {steps} {'step' if steps == 1 else 'steps'} of the optimizer, and no backward()."
        yield found(
            "MG110", seen, "loss.backward()  # before optimizer.step()", o.step_line or (o.first_losses[0].line if o.first_losses else None)
        )
    elif o.optimizers and o.backwards and not o.optimizer_steps:
        seen = f"backward() ran {o.backwards} {'time' if o.backwards == 1 else 'times'}, and {name}.step() never."
        yield found("MG110", seen, f"{name}.step()  # after loss.backward()", o.backward_line)
    elif not o.optimizers and o.backwards >= MANY_STEPS and o.roots and o.first_losses and not o.steps:
        seen = f"backward() ran {o.backwards} times; no optimizer was made, and no parameter of the model changed in between."
        yield found("MG110", seen, "optimizer.step()  # with optimizer = Adam(model.parameters()) before the loop", o.backward_line)
    elif o.empty_steps and o.zeroed_between:
        seen = f"{o.zeroed_between} times zero_grad() ran between backward() and {name}.step(), which then had no gradients to use."
        yield found("MG110", seen, f"{name}.zero_grad()  # before loss.backward(), not after it", o.step_line)
    elif o.empty_steps >= MANY_STEPS:
        for optimizer in o.optimizers.values():
            params = _parameters(optimizer)
            moved = any(not np.array_equal(o.initial[id(p)], p.data, equal_nan=True) for p in params if id(p) in o.initial)
            if any(id(p) in o.got_gradient for p in params) and not moved:
                seen = f"{_optimizer_name(o, optimizer)}.step() ran {o.optimizer_steps[id(optimizer)]} times, each before backward()."
                yield found("MG110", seen, f"{name}.step()  # after loss.backward()", o.step_line)
                return


def _doubled(o: Observer) -> Iterator[Finding]:
    names = o.parameter_names()
    for _, params, line in o.made_with:
        ids = [id(p) for p in params]
        twice = list({id(p): p for p in params if ids.count(id(p)) > 1}.values())
        if twice:
            tensors = [name_of(p, names) for p in twice if isinstance(p, Tensor)]
            seen = f"The optimizer was given {listed(tensors)} twice, among {len(ids)} parameters."
            yield found("MG104", seen, "optimizer = Adam(model.parameters())  # each parameter once, in one group", line)
            return
    stepped = [optimizer for key, optimizer in o.optimizers.items() if o.optimizer_steps[key]]
    for i, first in enumerate(stepped):
        for second in stepped[i + 1 :]:
            shared = [p for p in _parameters(first) if id(p) in set(map(id, _parameters(second)))]
            order = [key for key in o.step_order if key in (id(first), id(second))]
            changes = sum(a != b for a, b in itertools.pairwise(order))
            if shared and changes >= MANY_STEPS:
                seen = (
                    f"{_optimizer_name(o, first)} and {_optimizer_name(o, second)} both step {listed([name_of(p, names) for p in shared])}."
                )
                yield found("MG104", seen, "give each parameter to one of the optimizers", o.step_line)
                return


def _held(o: Observer) -> Iterator[Finding]:
    names, models = o.parameter_names(), _model_parameters(o)
    stepped = [optimizer for key, optimizer in o.optimizers.items() if o.optimizer_steps[key]]
    if not stepped:
        return
    held = {id(p) for optimizer in o.optimizers.values() for p in _parameters(optimizer)}
    trained = {key: p for key, p in o.got_gradient.items() if key in models or isinstance(p, Parameter)}
    name = _optimizer_name(o, stepped[0])
    line = next((line for optimizer, _, line in o.made_with if optimizer is stepped[0]), None)
    kind, lr = type(stepped[0]).__name__, stepped[0].param_groups[0]["lr"]
    model = o.name_of(o.roots[0]) if o.roots else "model"
    cure = f"{name} = {kind}({model}.parameters(), lr={lr:g})"
    if trained and not held & set(o.got_gradient):
        seen = (
            f"The loss gives gradients to {len(trained)} parameters ({listed([name_of(p, names) for p in trained.values()])}); "
            f"none of them is among the {len(held)} that {name} holds."
        )
        yield found("MG102", seen, f"{cure}  # after the model is made", line)
        return
    missing = [p for key, p in trained.items() if key not in held]
    if missing and held & set(trained):
        homeless = [p for p in missing if id(p) not in models]
        if homeless and len(homeless) == len(missing):
            cure = "keep layers in attributes of a Module, or pass them to Sequential: there parameters() finds them"
            missing_text = "No Module that the model knows holds them."
        else:
            missing_text = f"{name} holds {len(held)} others."
            if len(o.roots) > 1:
                own = [o.name_of(root) for root in o.roots if any(id(p) in {id(q) for q in missing} for p in root.parameters())]
                cure = f"{name} = {kind}([*...parameters(), *{own[0] if own else model}.parameters()], lr={lr:g})"
        share = sum(p.size for p in missing) / max(sum(p.size for p in trained.values()), 1)
        seen = (
            f"{len(missing)} of {len(trained)} parameters that get gradients are in no optimizer ({share:.0%} of the numbers): "
            f"{listed([name_of(p, names) for p in missing])}. {missing_text}"
        )
        yield found("MG103", seen, cure, line)


def _without_gradient(o: Observer) -> Iterator[Finding]:
    if o.useless_backwards and not o.backwards:
        seen = f"backward() ran {len(o.useless_backwards)} times on a loss that no parameter leads to."
        where = _break_of_all(o)
        if where:
            seen += where
        cure = "loss = loss_fn(model(x), y)  # outside no_grad(), from the model's Tensors themselves"
        yield found("MG105", seen, cure, o.useless_backwards[0])
        return
    if not o.backwards or not (o.steps or o.optimizer_steps):
        return
    names = o.parameter_names()
    stepped = [optimizer for key, optimizer in o.optimizers.items() if o.optimizer_steps[key]]
    used = {id(call.root) for call in o.calls if call.used} | {id(r) for r in o.roots if not o.optimizers}
    candidates = {id(p): p for optimizer in stepped for p in _parameters(optimizer)}
    candidates.update({id(p): p for root in o.roots if id(root) in used for p in root.parameters()})
    never = [p for key, p in candidates.items() if p._requires_grad and key not in o.got_gradient]
    if o.second_order:  # a loss of derivatives does not depend on what is only added
        used_somewhere = {key for round_ in o.rounds for key in round_.leaves}
        never = [p for p in never if id(p) not in used_somewhere]
    if not never:
        yield from _only_zeros(o, candidates, names)
        return
    share = f"{len(never)} of {len(candidates)} parameters never got a gradient: {listed([name_of(p, names) for p in never])}."
    if not any(key in o.got_gradient for key in candidates):
        trained = any(isinstance(p, Parameter) for p in o.got_gradient.values())
        if trained or not _takes_part(o, candidates):  # then it is another mistake
            return
        share = f"None of the {len(candidates)} parameters ever got a gradient: {listed([name_of(p, names) for p in never])}."
    where, cure, line = _where_lost(o, never)
    yield found("MG105", f"{share} {where}", cure, line)


def _takes_part(o: Observer, candidates: dict[int, Tensor]) -> bool:
    """Whether what is computed uses any of these parameters, recorded or not."""
    owners = [id(m) for root in o.roots for _, m in root.named_modules() if any(id(value) in candidates for value in vars(m).values())]
    return any(key in candidates for round_ in o.rounds for key in round_.leaves) or any(key in o.called for key in owners)


def _only_zeros(o: Observer, candidates: dict[int, Tensor], names: dict[int, str]) -> Iterator[Finding]:
    """Gradients that are all 0 because the loss depends on the parameters through a step function, or through a product with 0."""
    rounds = [round_ for round_ in o.rounds if round_.operations and round_.losses and round_.gradients]
    gradients = [round_.gradients[key] for round_ in rounds for key in candidates if key in round_.gradients]
    if len(o.rounds) < MANY_STEPS or not gradients or any(g.any() for g in gradients):
        return
    ending = next((operation for operation in reversed(rounds[0].operations) if _ends_here(operation)), None)
    if ending is None or ending.rule not in ENDS:
        return
    seen = f"In every step the gradients of all {len(candidates)} parameters were exactly 0. {ENDS[ending.rule]} in {ending.line}."
    line, step = ending.line, _step_function(rounds[0]) if ending.rule is rules.multiply else None
    if step is not None:
        line = step
        seen += f" What else the loss is computed of was made without a gradient in {step}: {_text(step)}."
    why = "Rounding, comparing and argmax are step functions: a small change of a parameter changes nothing, so their slope is 0."
    cure = "loss = loss_fn(predictions, y)  # of the predictions themselves; compare, round and argmax only what is printed"
    yield found("MG105", seen, cure, line, why=why, title="All gradients are 0")


def _ends_here(operation: Operation) -> bool:
    """Whether a gradient that is not 0 arrives at an operation, and nothing but 0 goes on."""
    g = operation.out._grad
    if g is None or not g.any():
        return False
    below = [x for x in operation.inputs if isinstance(x, Tensor) and x._requires_grad]
    return all(x._node is not None and x._grad is not None and not x._grad.any() for x in below)


def _step_function(round_: Round) -> Line | None:
    """The line in which numbers without a gradient were made of results of the round."""
    made = [(position, operation.out, operation.line) for position, operation in round_.untracked if operation.rule is rules.where]
    made += [(position, leaf, leaf._line) for position, leaf in round_.constants]
    shapes = [operation.out.shape for operation in round_.operations]
    return next((line for position, x, line in made if line is not None and x.ndim and x.shape in shapes[:position]), None)


def _break_of_all(o: Observer) -> str:
    calls = [call for call in o.calls if not call.recording]
    return f" The forward pass in {calls[0].line} ran within no_grad()." if calls and len(calls) == len(o.calls) else ""


def _where_lost(o: Observer, never: list[Tensor]) -> tuple[str, str, Line | None]:
    """Where the parameters' influence on the loss ends, the cure, and the line."""
    rounds = [r for r in o.rounds if r.operations]
    wanted = {id(p) for p in never}
    for round_ in rounds:
        if wanted & set(round_.leaves):
            lost = _dead_end(round_, wanted)
            if lost is not None:
                line, text = lost
                return text, "let the Tensor itself go on: without .detach(), .data, .numpy(), Tensor(...)", line
    owners = [module for root in o.roots for _, module in root.named_modules() if any(id(v) in wanted for v in vars(module).values())]
    called = [o.called[id(module)] for module in owners if id(module) in o.called]
    if called and not any(recording for recording, _ in called):
        return "Their layers run within no_grad() only.", "take those layers out of `with no_grad():`", called[0][1]
    return (
        "The forward pass does not use them.",
        "call that layer in forward(), or delete it; set requires_grad = False on what is not to be trained",
        None,
    )


def _dead_end(round_: Round, wanted: set[int]) -> tuple[Line | None, str] | None:
    """The last line to which the parameters' influence reaches, where it does not reach the loss."""
    reached: set[int] = set()
    consumed: set[int] = set()
    last: dict[int, tuple[int, Any]] = {}
    for i, operation in enumerate(round_.operations):
        sources = {id(x) for x in operation.inputs if isinstance(x, Tensor)}
        if sources & (reached | wanted):
            reached.add(id(operation.out))
            last[id(operation.out)] = (i, operation)
            consumed |= sources
    ends = [entry for key, entry in last.items() if key not in consumed and not any(x is entry[1].out for x in round_.losses)]
    if not ends:
        return None
    i, operation = ends[-1]
    value = operation.out
    later = {id(x): x for op in round_.operations[i + 1 :] for x in op.inputs if isinstance(x, Tensor)}
    earlier = {id(x) for op in round_.operations[: i + 1] for x in op.inputs if isinstance(x, Tensor)}
    new = [x for key, x in later.items() if key in round_.leaves and key not in earlier | wanted and not isinstance(x, Parameter)]
    leaves = [*[x for x in new if hasattr(x, "_line")], *[leaf for position, leaf in round_.constants if position > i]]
    for leaf in leaves:
        if np.shares_memory(leaf._data, value._data) or (leaf.shape == value.shape and np.array_equal(leaf._data, value._data)):
            return leaf._line, f"Their way to the loss ends in {leaf._line}, where a Tensor is made of bare values: {_text(leaf._line)}."
    for leaf in leaves[:1]:
        if leaf._line is not None:
            return leaf._line, f"Their way to the loss ends near {leaf._line}, where a Tensor is made of bare values: {_text(leaf._line)}."
    return operation.line, f"Their way to the loss ends after {operation.line}: {_text(operation.line)}."


def _text(line: Line | None) -> str:
    return f"`{line.text}`" if line is not None and line.text else "there"


def _stale(o: Observer) -> Iterator[Finding]:
    names = o.parameter_names()
    stale = {key: count for key, count in o.stale.items() if count >= 2}
    if not stale:
        return
    known = {id(p): p for optimizer in o.optimizers.values() for p in _parameters(optimizer)} | o.got_gradient
    steps = max(len(o.rounds), max(stale.values()))
    parts = [name_of(known[key], names) for key in stale if key in known]
    seen = (
        f"{max(stale.values())} of the first {steps} steps used gradients to which those of earlier steps had been added: {listed(parts)}."
    )
    owner = next((p for p in o.optimizers.values() if any(id(q) in stale for q in _parameters(p))), None)
    cure = (
        f"{_optimizer_name(o, owner)}.zero_grad()  # before loss.backward()"
        if o.optimizers
        else "p.zero_grad()  # for every parameter, before loss.backward()"
    )
    yield found("MG101", seen, cure, o.stale_line)


def _sums(o: Observer) -> Iterator[Finding]:
    if o.worst_sum is not None:
        note = o.worst_sum
        seen = f"{note.count} losses were added up as Tensors: {_text(note.line)}. Nothing calls backward() on the sum."
        yield found("MG106", seen, "total += loss.item()", note.line)
    elif len(o.living_losses) >= MANY_STEPS:
        tensors = o.living_losses
        line = getattr(tensors[-1], "_line", None) or o.loss_line
        seen = (
            f"{len(tensors)} losses, computed outside no_grad() and never differentiated, are still referred to, each with its whole graph."
        )
        yield found("MG106", seen, "losses.append(loss.item())  # and evaluate within `with no_grad():`", line)


def _modes(o: Observer, raised: bool) -> Iterator[Finding]:
    training = [call for call in o.calls if call.used and call.modes]
    still = [call for call in training if not any(call.modes) and not call.training]
    if len(still) >= MANY_STEPS:
        kinds = _kinds(still[0].root)
        since = f"from step {still[0].number + 1} on" if still[0].number else "from the first step"
        seen = f"{len(still)} of {len(training)} training forward passes, {since}, ran in eval mode, with {kinds} in the model."
        yield found("MG107", seen, f"{o.name_of(still[0].root)}.train()  # before the steps of every epoch", still[0].line)
    trained = {id(call.root) for call in o.calls if call.used}
    tests: dict[int, list[Call]] = {}
    for call in o.calls:
        if raised and call.number == o.steps:
            continue  # whatever was to come after it
        if not call.used and call.number and id(call.root) in trained and call.modes and all(call.modes):
            tests.setdefault(id(call.root), []).append(call)
    for calls in tests.values():
        episodes = {call.number for call in calls}
        chosen = [call for call in calls if call.in_loss] or (calls if len(episodes) < o.steps / 2 else [])
        if chosen:
            call = chosen[0]
            passes = "1 forward pass" if len(chosen) == 1 else f"{len(chosen)} forward passes"
            seen = f"{passes} that no backward() followed ran in training mode, with {_kinds(call.root)} in the model."
            name = o.name_of(call.root)
            yield found("MG108", seen, f"{name}.eval()  # before the evaluation, and {name}.train() after it", call.line)
            return


def _kinds(root: Module) -> str:
    return " and ".join(sorted({type(module).__name__ for module in sensitive(root)}))


def _decay(o: Observer) -> Iterator[Finding]:
    names = o.parameter_names()
    norms = {id(p) for root in o.roots for _, m in root.named_modules() if _is_norm(m) for p in m.parameters()}
    for key, optimizer in o.optimizers.items():
        if not o.optimizer_steps[key]:
            continue
        decayed = [p for group in optimizer.param_groups if group.get("weight_decay") for p in group["params"]]
        chosen = [p for p in decayed if p.ndim <= 1 or id(p) in norms]
        if chosen:
            decay = max(group.get("weight_decay", 0) for group in optimizer.param_groups)
            kind = type(optimizer).__name__
            seen = f"weight_decay={decay:g} also pulls on {len(chosen)} biases and scales: {listed([name_of(p, names) for p in chosen])}."
            cure = f'{kind}([{{"params": weights}}, {{"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0}}])'
            line = next((line for made, _, line in o.made_with if made is optimizer), None)
            yield found("MG109", seen, cure, line)
            return


def _is_norm(module: Module) -> bool:
    return isinstance(module, ChannelNorm) or type(module).__name__ in ("LayerNorm", "RMSNorm", "GroupNorm")
