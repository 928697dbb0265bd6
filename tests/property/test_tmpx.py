from hypothesis import given, settings, strategies as st
from tests.property import test_conversion as t
inner = t.test_buys_after_a_conversion_stay_within_the_dollars.hypothesis.inner_test
test_x = settings(max_examples=1500, deadline=None)(given(t.NEEDING, st.just(100))(inner))
