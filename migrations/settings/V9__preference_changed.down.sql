DROP TRIGGER preference_changed;
