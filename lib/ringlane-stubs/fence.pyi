from collections.abc import Callable

fence: Callable[[], object]
