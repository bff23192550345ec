"""Chapter 4, C: each kernel becomes a function, and the step a list of their calls.

The generated file has three parts. First comes what does not depend on the step: the types, the few functions that C lacks, the
declarations that let the compiler use the vector versions of expf and its like (`PRELUDE`, in c_prelude.py). Then one function for
each kernel; kernels that differ in nothing but the arrays they are given share one, as the layers of a network do. Last the step:

    CALLS run(int t, char *const *p, char *m, int *failed, double *times) {
        k0(t, (const float *)p[0], (const float *)p[1], (float *)(m + 0));
        BARRIER
        k1(t, ...);
    }

p is the table of pointers to what lies outside, m the arena. Every function is called by every thread with the thread's number t, and
does that thread's part: rows lo to hi of a loop, a slice of the rows or columns of a product, some matrices of a stack of them.
Between kernels, threads wait for one another only where one reads what another wrote, or writes what another may still read: where a
thread reads just what it wrote itself, as from a product to the activation after it, none waits (`barriers`).

A loop is written as NumPy would write it, with one stride for each axis. Axes along which all arrays can be walked as one are made
one; the last is the inner loop, which the compiler makes vector instructions of (`#pragma omp simd`).
"""

from .barriers import Call, barriers
from .c_prelude import PRELUDE
from .c_single import function
from .c_values import ctype
from .graph import Node
from .schedule import Kernel, Place, Schedule


def program(plan: Schedule) -> tuple[str, list[Call]]:
    """The C file of a schedule, and the calls that its step makes."""
    names: dict[str, str] = {}
    calls: list[Call] = []
    texts = []
    for kernel in plan.kernels:
        for text, arrays in function(plan, kernel):
            name = names.get(text)
            if name is None:
                name = names[text] = f"k{len(names)}_{_title(kernel)}"
                texts.append(f"// {_comment(kernel)}\n{text.replace('NAME', name, 1)}")
            calls.append(Call(kernel, name, arrays))
    barriers(plan, calls)
    lines = ["CALLS run(const int t, char *const *p, char *m, int *failed, double *times) {"]
    for i, call in enumerate(calls):
        if call.barrier:
            lines.append("    BARRIER")
        pointers = [_pointer(plan, *argument) for argument in call.arrays]
        pointers += ["failed"] if call.kernel.kind == "check" else []
        lines.append(f"    {call.name}({', '.join(['t', *pointers])});")
        lines.append(f"    MARK({i})")
        if call.kernel.kind == "check":
            lines.append("    BARRIER\n    if (*failed) return;")
    lines.append("}\n")
    head = f"#define THREADS {plan.threads}\n"
    return "\n".join([head + PRELUDE, *texts, "\n".join(lines)]) + STEP, calls


STEP = """
// 0 if all is well, 1 if a check failed, 2 if there are fewer threads than this was made for. Nothing has been written then.
int step(char *const *p, char *m, double *times) {
    int failed = 0;
#if THREADS > 1
    #pragma omp parallel num_threads(THREADS)
    {
        if (omp_get_num_threads() == THREADS) run(omp_get_thread_num(), p, m, &failed, times);
        else failed = 2;
    }
#else
    run(0, p, m, &failed, times);
#endif
    return failed;
}
"""


def _title(kernel: Kernel) -> str:
    if kernel.kind != "loop":
        return kernel.kind
    ops: dict[str, None] = {}
    for node in kernel.nodes:
        if node.op not in ("cast", "copy", "where", "multiply", "add", "subtract"):
            ops[node.attrs[0] if node.op == "reduce" else node.op] = None
    chosen = list(ops) or [kernel.nodes[-1].op]
    return "_".join(chosen[:3])


def _comment(kernel: Kernel) -> str:
    ops = ", ".join(node.attrs[0] if node.op == "reduce" else node.op for node in kernel.nodes[:12]) or "check"
    more = f", and {len(kernel.nodes) - 12} more" if len(kernel.nodes) > 12 else ""
    line = next((node.line for node in kernel.nodes if node.line), None)
    where = f"; {line[0].rpartition('/')[2]}, line {line[1]}" if line else ""
    shape = kernel.nodes[-1].shape if kernel.nodes else ()
    return f"{ops}{more}: {shape}{where}"


def _pointer(plan: Schedule, node: Node, written: bool, start: int) -> str:
    where = plan.memory[node]
    kind = f"({'' if written else 'const '}{ctype(node)} *)"
    if isinstance(where, Place):
        return f"{kind}p[{where.index}]{f' + {start}' if start else ''}"
    return f"{kind}(m + {where + start * node.dtype.itemsize})"
