# SPDX-License-Identifier: Apache-2.0
# So many bodies that they become rows of rule tables; review adds texts that
# several bodies add. table.plan.json is made of it:
#	opa build -t plan -e table/deny -e table/review -e table/allow -e table/score table.rego
package table

import rego.v1

allow if count(deny) == 0

score := count(review)

deny contains "D000" if { input.count < 119; input.delta == 0; not input.amount >= 1 }
deny contains "D001" if { not input.user.age < 101; input.limit == 12345.67; not input.country in {"KP"} }
deny contains "D002" if { input.count == 0; not input.vip; not input.merchant == "ACME" }
deny contains "D003" if { not input.country in {"KP", "DE", "IR"}; not input.account == "B2" }
deny contains "D004" if { input.limit == -0.5; not input.user.risk_level == "high"; input.vip }
deny contains "D005" if { input.user.risk_level != "medium"; input.user.risk_level == "high" }
deny contains "D006" if { not input.vip; input.account == "B2"; input.count < 4294967294; not input.user.age > 120; not input.account == "B2" }
deny contains "D007" if { input.vip; input.country != "IR"; not input.count >= 0 }
deny contains "D008" if { not input.user.risk_level in {"medium", "low", "high"}; input.count != 101; input.limit <= 1 }
deny contains "D009" if { not input.amount == 7; input.delta <= 49; input.account in {"A1", "B2"} }
deny contains "D010" if { input.user.risk_level in {"medium", "low"}; input.country != "KP"; not input.merchant in {"SHOP"}; input.amount == 7; input.country == "DE" }
deny contains "D011" if { not input.vip; input.delta == 7; input.country in {"IR"} }
deny contains "D012" if { input.account == "A1"; input.account != "A1"; not input.account in {"A1"}; input.amount == 99999.99 }
deny contains "D013" if { input.merchant != "ACME"; not input.merchant == "SHOP"; input.amount >= 150 }
deny contains "D014" if { not input.vip; input.account == "A1"; input.count > 7 }
deny contains "D015" if { input.vip == false; input.count != 0; input.count >= 7; input.account in {"B2"} }
deny contains "D016" if { input.limit <= 0; not input.user.age != 7; input.vip == false; input.account == "A1" }
deny contains "D017" if { input.user.age >= 7; input.amount <= 150 }
deny contains "D018" if { input.user.age > 101; input.merchant in {"SHOP"}; input.vip == false; input.side != "CROSS"; input.side != "SELL" }
deny contains "D019" if { input.limit <= 70.00; input.vip == false; input.user.age > 120; input.side != "SELL"; input.delta < 50 }
deny contains "D020" if { not input.country == "IR"; input.vip == false; input.vip == false; not input.delta == 50 }
deny contains "D021" if { input.merchant != "ACME"; input.country == "IR"; input.count <= 4294967294; input.amount != 99999.99 }
deny contains "D022" if { not input.limit <= 0; input.user.risk_level != "high"; not input.count > 101 }
deny contains "D023" if { input.account == "B2"; input.side in {"SELL", "BUY"}; input.side != "SELL" }
deny contains "D024" if { input.delta < 0; not input.limit != -0.5 }
deny contains "D025" if { not input.user.age != 18; input.delta != 0; not input.country == "KP"; input.user.age < 18 }
deny contains "D026" if { not input.country == "DE"; input.vip }
deny contains "D027" if { not input.merchant == "ACME"; input.limit > -0.5 }
deny contains "D028" if { not input.delta == 101; input.delta < 7; input.amount != 123.45; input.user.risk_level == "medium"; input.user.risk_level != "medium" }
deny contains "D029" if { not input.limit > 0; input.amount != 150; input.merchant in {"ACME"} }
deny contains "D030" if { input.user.age != 18; input.count <= 50; not input.country in {"IR", "DE"}; input.merchant != "SHOP"; input.merchant in {"SHOP"} }
deny contains "D031" if { not input.account in {"A1"}; input.amount < 7 }
deny contains "D032" if { input.vip; input.country == "IR"; input.vip == false; not input.user.age > 120 }
deny contains "D033" if { input.delta < 101; not input.user.risk_level in {"high", "low", "medium"}; input.amount < 7; input.country == "IR" }
deny contains "D034" if { input.count < 101; input.user.age != 101; input.count < 50; input.limit != 70.00; not input.user.risk_level == "medium" }
deny contains "D035" if { input.vip == false; input.amount > 150 }
deny contains "D036" if { input.vip == false; not input.amount < 25000.01; input.amount != 25000.01 }
deny contains "D037" if { input.account == "B2"; input.merchant == "ACME"; input.count == 101 }
deny contains "D038" if { not input.merchant in {"ACME"}; input.limit > 1; input.vip == false }
deny contains "D039" if { input.amount <= 25000.01; input.user.risk_level == "low"; input.user.risk_level in {"medium", "low"}; input.user.risk_level == "low"; input.account == "A1" }
deny contains "D040" if { input.delta >= 49; input.vip; input.user.risk_level == "low" }
deny contains "D041" if { input.limit > 70.00; input.account in {"B2"} }
deny contains "D042" if { input.side in {"BUY", "CROSS", "SELL"}; not input.side == "CROSS" }
deny contains "D043" if { input.user.age <= 50; not input.account == "B2"; input.merchant == "SHOP"; input.limit <= 12345.67 }
deny contains "D044" if { input.merchant in {"SHOP", "ACME"}; input.user.age <= 0; input.delta > 0; input.account in {"A1"} }
deny contains "D045" if { not input.side == "SELL"; input.country != "IR"; input.side != "BUY"; input.user.risk_level == "medium" }
deny contains "D046" if { not input.count == 101; not input.amount == 25000.01; input.merchant != "ACME" }
deny contains "D047" if { not input.country in {"DE", "IR", "KP"}; input.amount <= 0; input.limit == 70.00 }
deny contains "D048" if { input.amount == 123.45; input.account == "A1" }
deny contains "D049" if { input.count > 4294967294; input.count == 7; input.count < 0; not input.count < 50; input.count <= 101 }
deny contains "D050" if { input.user.risk_level != "high"; input.delta <= 49 }
deny contains "D051" if { input.limit >= 1; input.delta == 49; input.vip }
deny contains "D052" if { input.user.risk_level == "low"; input.amount >= 0; not input.limit >= -0.5 }
deny contains "D053" if { input.limit <= 1; input.user.risk_level in {"medium"} }
deny contains "D054" if { input.user.risk_level == "low"; input.delta > 49; input.user.age >= 18 }
deny contains "D055" if { input.country in {"DE"}; not input.delta <= 7; input.user.risk_level in {"high"} }
deny contains "D056" if { input.country == "KP"; input.delta != -1; not input.vip }
deny contains "D057" if { input.delta > 101; input.account == "A1"; not input.amount != 25000.01 }
deny contains "D058" if { not input.count <= 101; input.amount != 7; input.vip; not input.account in {"B2", "A1"} }
deny contains "D059" if { input.merchant == "SHOP"; input.count <= 101; input.amount == 1 }
deny contains "D060" if { not input.count != 101; input.limit >= 70.00; input.vip == false }
deny contains "D061" if { not input.country in {"IR", "DE"}; input.delta != 7; input.count <= 7 }
deny contains "D062" if { input.delta > -1; input.account == "A1"; input.country in {"KP"} }
deny contains "D063" if { input.account != "B2"; input.amount == 123.45; input.delta >= 50 }
deny contains "D064" if { input.amount <= 0; input.account != "A1"; input.amount < 99999.99 }
deny contains "D065" if { input.merchant == "ACME"; input.side == "BUY"; not input.side in {"CROSS"}; not input.limit != -0.5 }
deny contains "D066" if { not input.delta < 7; not input.vip; input.user.risk_level != "medium"; input.user.risk_level in {"low"} }
deny contains "D067" if { not input.country in {"IR"}; input.user.risk_level == "low"; input.user.age != 50 }
deny contains "D068" if { input.vip == false; not input.side == "BUY" }
deny contains "D069" if { input.user.age < 0; input.user.risk_level != "medium"; input.count < 119 }
deny contains "D070" if { input.user.age != 7; not input.vip; input.vip; input.merchant in {"ACME"} }
deny contains "D071" if { input.count < 7; input.limit == 0; not input.country in {"DE", "IR"}; input.count == 7; input.user.risk_level != "medium" }
deny contains "D072" if { not input.user.age >= 7; input.side in {"BUY", "SELL"} }
deny contains "D073" if { input.limit >= -0.5; input.count < 4294967294 }
deny contains "D074" if { input.delta < 50; not input.merchant in {"ACME"}; input.limit >= -0.5 }
deny contains "D075" if { input.amount == 150; input.delta >= 0; not input.user.age <= 101 }
deny contains "D076" if { input.vip == false; input.delta < 0; input.count != 50 }
deny contains "D077" if { not input.merchant == "ACME"; not input.side in {"CROSS", "BUY", "SELL"}; not input.account in {"B2", "A1"} }
deny contains "D078" if { input.account != "B2"; input.user.age > 101; input.delta != -1 }
deny contains "D079" if { input.limit == 70.00; input.side in {"BUY", "CROSS"} }
deny contains "D080" if { input.vip == false; input.amount < 99999.99; input.amount == 123.45 }
deny contains "D081" if { not input.vip; input.vip; not input.delta <= 0; input.limit >= 0 }
review contains "R02" if { input.count < 0; input.account != "B2" }
review contains "R28" if { input.amount >= 7 }
review contains "R07" if { input.amount == 123.45; input.count == 119 }
review contains "R20" if { input.vip; input.account == "B2"; input.side in {"SELL"} }
review contains "R23" if { input.count <= 0; input.limit < -0.5; input.amount != -0.5 }
review contains "R21" if { input.limit == 0; input.delta != 0 }
review contains "R05" if { input.count == 7; input.side == "SELL" }
review contains "R13" if { not input.vip; input.count == 7 }
review contains "R04" if { input.amount == 7 }
review contains "R11" if { input.amount <= 0; input.amount == 99999.99 }
review contains "R06" if { input.country != "KP" }
review contains "R03" if { input.amount >= 1 }
review contains "R04" if { input.delta > 49 }
review contains "R08" if { not input.account == "A1" }
review contains "R24" if { input.user.age >= 0; input.side in {"SELL"}; input.user.age != 0 }
review contains "R18" if { input.count == 7; input.amount > 25000.01 }
review contains "R03" if { input.count == 50; input.vip; input.limit >= 1 }
review contains "R03" if { not input.side == "CROSS" }
review contains "R11" if { not input.user.risk_level == "low" }
review contains "R06" if { input.count >= 4294967294; input.count == 119 }
review contains "R24" if { input.side in {"CROSS", "BUY"} }
review contains "R21" if { not input.count != 50; input.vip }
review contains "R04" if { not input.merchant == "SHOP"; input.vip }
review contains "R23" if { input.delta <= 0; input.merchant == "ACME" }
review contains "R06" if { input.limit != -0.5; input.account == "A1"; not input.limit >= 0 }
review contains "R00" if { input.merchant != "SHOP"; not input.user.age < 120; not input.count <= 4294967294 }
review contains "R23" if { not input.amount >= 99999.99; not input.amount <= -0.5 }
review contains "R22" if { not input.count >= 0; not input.vip }
review contains "R16" if { input.country == "IR"; input.user.age <= 120 }
review contains "R25" if { not input.account in {"B2"}; input.count != 50 }
review contains "R16" if { input.user.risk_level != "high"; not input.side in {"CROSS"} }
review contains "R11" if { not input.delta >= -1 }
review contains "R00" if { input.user.risk_level == "high" }
review contains "R07" if { input.side in {"SELL"}; input.limit < 1 }
review contains "R15" if { not input.delta >= 7; not input.merchant == "SHOP" }
review contains "R22" if { input.count >= 0; input.delta != 7; not input.user.risk_level == "medium" }
review contains "R04" if { not input.country == "DE"; input.user.age != 101 }
review contains "R00" if { input.amount > 1 }
review contains "R18" if { not input.limit > 1; input.count == 4294967294 }
review contains "R19" if { input.account != "B2" }
review contains "R16" if { input.country != "KP" }
review contains "R26" if { input.user.risk_level != "low"; input.merchant != "ACME" }
review contains "R26" if { input.side in {"CROSS", "SELL"}; input.user.risk_level != "high" }
review contains "R20" if { input.amount != 99999.99; not input.user.age >= 7 }
review contains "R01" if { not input.merchant == "ACME"; not input.side == "BUY" }
review contains "R13" if { input.country in {"IR", "DE"}; input.account in {"B2", "A1"} }
review contains "R25" if { not input.merchant in {"SHOP", "ACME"} }
review contains "R20" if { not input.count == 119 }
review contains "R01" if { input.amount < 123.45; not input.side in {"BUY", "SELL", "CROSS"}; input.limit != 70.00 }
review contains "R20" if { input.limit >= 0; input.delta > 50 }
review contains "R22" if { not input.limit < -0.5; input.count >= 119 }
review contains "R16" if { not input.count >= 0 }
review contains "R00" if { input.vip == false; not input.count == 0; input.count <= 4294967294 }
review contains "R00" if { input.amount < 123.45; not input.limit < -0.5; input.vip }
review contains "R14" if { input.delta != -1; not input.user.age >= 120 }
review contains "R29" if { input.amount < 0; input.vip }
review contains "R12" if { input.user.age >= 101; input.delta == 101 }
review contains "R14" if { input.limit > 1; not input.user.risk_level in {"medium", "high"}; not input.account in {"A1", "B2"} }
review contains "R23" if { input.user.age == 50 }
review contains "R28" if { not input.user.risk_level == "medium"; input.delta > 49 }
review contains "R05" if { input.limit > 12345.67 }
review contains "R21" if { not input.side in {"CROSS"}; input.user.risk_level != "high"; input.user.age != 50 }
review contains "R14" if { input.user.age >= 50; input.country in {"IR", "KP", "DE"} }
review contains "R18" if { input.account != "A1"; input.amount != 150 }
review contains "R11" if { input.side == "BUY"; input.account in {"B2"} }
review contains "R25" if { input.delta > 7 }
review contains "R16" if { input.amount == 25000.01 }
review contains "R18" if { not input.delta < 49; input.vip == false }
review contains "R04" if { input.delta <= 49; input.amount < 99999.99 }
review contains "R27" if { input.country == "DE"; input.delta != -1; input.user.risk_level != "medium" }
review contains "R11" if { input.limit > -0.5; input.user.age < 18 }
review contains "R25" if { input.amount > 0; not input.delta != -1; input.account == "B2" }
review contains "R11" if { input.merchant == "ACME"; input.merchant != "ACME"; input.user.age != 7 }
review contains "R24" if { input.count != 0; input.account == "A1"; input.merchant != "ACME" }
review contains "R22" if { input.merchant in {"ACME", "SHOP"}; not input.merchant == "ACME"; not input.vip }
review contains "R10" if { input.count > 101; input.country == "DE" }
review contains "R20" if { input.user.risk_level != "low"; input.user.risk_level == "low" }
review contains "R12" if { input.merchant != "SHOP"; input.count == 7 }
review contains "R14" if { input.account in {"B2"} }
review contains "R01" if { input.delta <= 0; not input.merchant in {"ACME"}; not input.amount > 7 }
review contains "R06" if { input.vip == false; input.user.age <= 0 }
review contains "R02" if { input.user.age > 18; input.country in {"IR"}; input.delta <= 50 }
review contains "R26" if { input.limit == 12345.67; not input.delta == -1 }
review contains "R03" if { not input.delta == -1; not input.amount >= 0 }
