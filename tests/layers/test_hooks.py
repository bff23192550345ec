"""Functions that run before and after a module's forward()."""

import copy
import gc
import weakref

import numpy as np
import pytest

from micrograd_plus import Tensor, layers

from ..raising import unreached


class Add(layers.Module):
    """a + b."""

    def forward(self, a, b=0):
        return a + b


# -- what a hook is given, and may change --------------------------------------------------------------------------------


def test_a_hook_is_given_the_module_its_positional_arguments_and_the_output():
    module, seen = Add(), []
    module.register_forward_pre_hook(lambda *given: seen.append(("before", *given)))
    module.register_forward_hook(lambda *given: seen.append(("after", *given)))
    assert module(1, b=2) == 3
    assert module(3, 4) == 7
    assert seen == [("before", module, (1,)), ("after", module, (1,), 3), ("before", module, (3, 4)), ("after", module, (3, 4), 7)]


def test_a_hook_may_replace_the_output():
    module = Add()
    module.register_forward_hook(lambda module, args, output: output * 10)
    assert module(1, 2) == 30
    module.register_forward_hook(lambda module, args, output: 0 if output == 30 else None)
    assert module(1, 2) == 0
    assert module(1, 3) == 40
    assert module.forward(1, 2) == 3


def test_a_pre_hook_may_replace_the_arguments():
    module = Add()
    handle = module.register_forward_pre_hook(lambda module, args: (args[0], 100))
    assert module(1) == 101
    seen = []
    module.register_forward_hook(lambda module, args, output: seen.append(args))
    module.register_forward_pre_hook(lambda module, args: args[0] + 1)
    assert module(1, 2) == 2
    assert seen == [(2,)]
    handle.remove()
    assert module(5, b=7) == 13


def test_a_hook_may_replace_by_what_is_false():
    module = Add()
    module.register_forward_pre_hook(lambda module, args: 0)
    assert module(5) == 0
    module.register_forward_hook(lambda module, args, output: False)
    assert module(5) is False


def test_gradients_flow_through_what_a_hook_returns():
    layer, x = layers.ReLU(), Tensor([1.0, -1.0], requires_grad=True)
    layer.register_forward_pre_hook(lambda module, args: args[0] * -2)
    layer.register_forward_hook(lambda module, args, output: output * 3)
    layer(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, -6])


# -- registering and removing --------------------------------------------------------------------------------------------


def test_hooks_run_in_the_order_in_which_they_were_registered():
    module, seen = Add(), []
    handles = [module.register_forward_hook(lambda module, args, output, i=i: seen.append(i)) for i in range(4)]
    handles += [module.register_forward_pre_hook(lambda module, args, i=i: seen.append(-i)) for i in (3, 2, 1)]
    module(1)
    assert seen == [-3, -2, -1, 0, 1, 2, 3]
    handles[1].remove()
    handles[5].remove()
    seen.clear()
    module.register_forward_hook(lambda module, args, output: seen.append("last"))
    module(1)
    assert seen == [-3, -1, 0, 2, 3, "last"]


def test_one_function_may_be_registered_twice():
    module = Add()
    double = lambda module, args, output: output * 2  # noqa: E731
    first, _ = module.register_forward_hook(double), module.register_forward_hook(double)
    assert module(1) == 4
    first.remove()
    first.remove()
    assert module(1) == 2


def test_a_handle_is_a_context_manager():
    module = Add()
    with module.register_forward_hook(lambda module, args, output: -output) as handle:
        assert module(1) == -1
        handle.remove()
        assert module(1) == 1
    assert module(1) == 1
    with pytest.raises(KeyError), module.register_forward_pre_hook(lambda module, args: 7):
        assert module(1) == 7
        raise KeyError
    assert module(1) == 1


def test_a_hook_may_remove_hooks_and_register_others_while_it_runs():
    module, seen, handles = Add(), [], []

    def remover(module, args, output):
        seen.append("remover")
        for handle in handles:
            handle.remove()
        module.register_forward_hook(lambda *_: seen.append("late"))

    handles.append(module.register_forward_hook(remover))
    handles.append(module.register_forward_hook(lambda *_: seen.append("second")))
    module(1)
    assert seen == ["remover", "second"]
    module(1)
    assert seen == ["remover", "second", "late"]


def test_a_pre_hook_may_remove_itself():
    module, seen = Add(), []
    handle = module.register_forward_pre_hook(lambda *_: (seen.append(1), handle.remove())[1])
    module(1)
    module(1)
    assert seen == [1]


def test_a_hook_that_raises_leaves_the_others_in_place():
    module = Add()
    module.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        module(1)
    module.register_forward_pre_hook(lambda module, args: (2,))
    with pytest.raises(ZeroDivisionError):
        module(1)


# -- what hooks are no part of -------------------------------------------------------------------------------------------


def test_hooks_belong_to_one_module_and_run_wherever_it_is_called():
    one, two, seen = layers.ReLU(), layers.ReLU(), []
    one.register_forward_hook(lambda module, args, output: seen.append(module))
    layers.Residual(one, two, one)(np.ones(2))
    assert seen == [one, one]


def test_hooks_are_no_part_of_the_state_the_modules_or_the_repr():
    module, hook = layers.Linear(2, 2), layers.Linear(3, 3)
    before = repr(module), list(module.state_dict()), [name for name, _ in module.named_modules()]
    module.register_forward_hook(hook)
    module.register_forward_pre_hook(hook.forward)
    assert (repr(module), list(module.state_dict()), [name for name, _ in module.named_modules()]) == before
    assert len(module.parameters()) == 2


def test_hooks_form_no_cycle():
    class Recorder:
        def __call__(self, *given):
            pass

    gc.disable()
    try:
        module, hook = layers.ReLU(), Recorder()
        handle = module.register_forward_hook(hook)
        seen = weakref.ref(hook), weakref.ref(module)
        del hook, module, handle
        assert seen[0]() is seen[1]() is None
    finally:
        gc.enable()


# -- copies --------------------------------------------------------------------------------------------------------------


def test_a_deep_copy_has_the_same_hooks_which_the_handle_of_the_original_leaves():
    module, seen = Add(), []
    handle = module.register_forward_hook(lambda module, args, output: seen.append(module))
    twin = copy.deepcopy(module)
    twin(1)
    assert seen == [twin]
    handle.remove()
    twin(1)
    module(1)
    assert seen == [twin, twin]
    module.register_forward_hook(lambda *_: 5)
    assert (module(1), twin(1)) == (5, 1)


def test_a_deep_copy_of_a_module_that_holds_its_handle_has_a_handle_of_its_own():
    module = Add()
    module.handle = module.register_forward_hook(lambda module, args, output: -output)
    twin = copy.deepcopy(module)
    twin.handle.remove()
    assert (module(1), twin(1)) == (-1, 1)


def test_a_method_of_the_module_becomes_a_method_of_the_copy():
    class Counter(Add):
        count = 0

        def __init__(self):
            self.register_forward_hook(self.counted)

        def counted(self, module, args, output):
            self.count += 1

    module = Counter()
    twin = copy.deepcopy(module)
    twin(1)
    assert (module.count, twin.count) == (0, 1)


# -- errors --------------------------------------------------------------------------------------------------------------

MESSAGES = [
    (lambda: Add().register_forward_hook(None), TypeError, "a hook must be a function, got None."),
    (lambda: Add().register_forward_pre_hook(3), TypeError, "a hook must be a function, got 3."),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES, ids=[text for _, _, text in MESSAGES])
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_every_error_has_an_entry():
    assert not unreached(layers.hooks, MESSAGES)
