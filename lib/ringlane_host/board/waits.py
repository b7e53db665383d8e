"""asyncio's wait_for, wait_for_ms and gather, as loop.py has the rest."""

from .parking import CancelledError, Pause, TimeoutError

__tracebackhide__ = True  # to pytest: a failure shows the firmware's lines and the test's


def make(core, kernel, promote):
    """Return the three; `promote` makes a task of what is awaited."""

    async def wait_for(aw, timeout, sleep=core.sleep):
        return await wait_for_ms(aw, None if timeout is None else int(timeout * 1000))

    async def wait_for_ms(aw, timeout):
        task = promote(aw)
        if timeout is None:
            return await task
        me = core.cur_task
        if not task.finished:
            due = kernel.now // 1000 + max(0, timeout)

            class Either:
                # What this task waits in: `task` or the time, whichever comes first.
                @staticmethod
                def remove(_):
                    core._task_queue.remove(me)

            def ring(_):
                core._task_queue.remove(me)
                core._task_queue.push(me)

            if task.on_done is not None:
                raise RuntimeError("can't wait")
            task.on_done = ring
            core._task_queue.push_at(me, due)
            me.parked = Either
            try:
                await Pause()
            except CancelledError:
                task.on_done = None
                task.cancel()
                raise
            task.on_done = None
        if task.finished:
            return await task
        task.cancel()
        try:
            await task
        except CancelledError:
            pass
        raise TimeoutError

    async def gather(*aws, return_exceptions=False):
        members = [promote(aw) for aw in aws]
        me = core.cur_task
        left = 0

        class Group:
            @staticmethod
            def remove(_):
                pass

        def done(task):
            nonlocal left
            left -= 1
            if me.parked is Group and (not left or (task.error and not return_exceptions)):
                core._task_queue.push(me)

        failed = False
        for each in members:
            if not each.finished:
                if each.waiting or each.on_done is not None:
                    raise RuntimeError("can't gather")
                each.on_done = done
                left += 1
            elif each.error is not None and not return_exceptions:
                failed = True
        try:
            if left and not failed:
                me.parked = Group
                await Pause()
        except CancelledError:
            for each in members:
                if each.on_done is done:
                    each.on_done = None
                    each.cancel()
            raise
        results = []
        error = None
        for each in members:
            each.awaited = each.finished or each.awaited
            if each.on_done is done:
                each.on_done = None
            elif each.error is None:
                results.append(each.result)
            elif return_exceptions:
                results.append(each.error)
            elif error is None:
                error = each.error
        if error is not None:
            raise error
        return results

    return wait_for, wait_for_ms, gather


__all__ = ["make"]
